"""A checkout that takes payments through Payroute: route, submit, report, and do what the answer says.

Usage: checkout.py ADDRESS [PAYMENT_ID]

`submit` and `query` stand for your own provider integrations: Payroute never sees credentials or card numbers. Here they
play a wallet whose first channel is closed for maintenance and whose second does not answer in time.
"""

import sys
import time
import uuid

import grpc

from payroute.v1 import routing_pb2 as pb
from payroute.v1 import routing_pb2_grpc

MERCHANT = "example_shop"


def submit(channel, attempt_no):
    """Pays with the provider behind `channel`, waiting `channel.timeout_ms` at most.

    `channel.attempt_key` is the idempotency key or order number to give: the same for a repeated submit.
    """
    if attempt_no == 1:
        return pb.RESULT_FAILED, "CHANNEL_MAINTENANCE"
    if attempt_no == 2:
        return pb.RESULT_TIMED_OUT, "TIMEOUT"
    return pb.RESULT_SUCCEEDED, ""


def query(channel):
    """Asks the provider what became of `channel.attempt_key`."""
    return pb.RESOLUTION_NOT_PROCESSED


def route(routing, payment_id, attempt_no, receipts):
    """Asks where this attempt goes, or whether there may be one."""
    request = pb.RouteRequest(
        merchant_id=MERCHANT,
        payment_id=payment_id,
        attempt_no=attempt_no,
        amount_minor=1999,
        currency="CNY",
        method="wechat_pay",
        presentment="h5",
        country="CN",
        locale="en",
        previous_attempts=[receipt for receipt, _ in receipts],
        exclude_channels=[channel for _, channel in receipts],
    )
    return routing.Route(request, timeout=2)


def report(routing, decision, attempt_id, outcome, latency_ms, retry_of=b""):
    """Tells what became of the attempt. Safe to call again with the same content."""
    result, code = outcome
    request = pb.ReportOutcomeRequest(
        decision_token=decision.decision_token,
        attempt_id=attempt_id,
        channel_id=decision.channel.channel_id,
        result=result,
        # The codes in `submit` are Payroute's own; leave this out to report the provider's codes as they are.
        provider="payroute",
        code=code,
        latency_ms=latency_ms,
        retry_of=retry_of,
    )
    return routing.ReportOutcome(request, timeout=2)


def attempt(routing, decision, attempt_no, attempt_id):
    """One attempt: submitted, reported, tried once more if that is the advice, and queried until it is settled."""
    channel, receipt = decision.channel, b""
    print(f"attempt {attempt_no}: {channel.channel_id}, key {channel.attempt_key}")
    while True:
        began = time.monotonic()
        outcome = submit(channel, attempt_no)
        took_ms = int((time.monotonic() - began) * 1000)
        answer = report(routing, decision, attempt_id, outcome, took_ms, receipt)
        show(answer)
        if answer.next.action != pb.NEXT_ACTION_RETRY_SAME:
            break
        # The same channel and key, but an attempt of its own: the receipt tells that it is the second.
        receipt, attempt_id = answer.receipt, f"{attempt_id}-retry"
        sleep_until(answer.next.not_before)

    # It may have charged. Nothing else may be submitted before the provider has said what became of it.
    schedule = list(answer.next.query_at)
    while answer.next.action == pb.NEXT_ACTION_QUERY_FIRST and schedule:
        sleep_until(schedule.pop(0))
        answer = routing.ResolveAttempt(
            pb.ResolveAttemptRequest(
                receipt=answer.receipt, resolution=query(channel), source=pb.RESOLUTION_SOURCE_QUERY
            ),
            timeout=2,
        )
        show(answer)
    return answer


def pay(routing, payment_id):
    """A payment over as many attempts as are allowed. Returns whether it was paid."""
    receipts, attempt_no = [], 0
    while True:
        attempt_no += 1
        decision = route(routing, payment_id, attempt_no, receipts)
        if decision.action != pb.ACTION_SUBMIT:
            print(f"attempt {attempt_no}: {pb.Action.Name(decision.action)}")
            return False
        # The attempt's name is kept with the order, so that a report that is sent again is recognised.
        answer = attempt(routing, decision, attempt_no, f"{payment_id}-{attempt_no}")
        if answer.next.action != pb.NEXT_ACTION_SWITCH:
            return answer.state == "succeeded"
        receipts.append((answer.receipt, decision.channel.channel_id))


def show(answer):
    print(f"           {answer.state}, then {pb.NextAction.Name(answer.next.action)}")
    if answer.customer_message.what:
        print(f"           customer: {answer.customer_message.what}")


def sleep_until(moment):
    time.sleep(max(0.0, moment.ToNanoseconds() / 1e9 - time.time()))


def main():
    address = sys.argv[1]
    payment_id = sys.argv[2] if len(sys.argv) > 2 else f"ord_{uuid.uuid4().hex[:12]}"
    with grpc.insecure_channel(address) as connection:
        routing = routing_pb2_grpc.RoutingServiceStub(connection)
        paid = pay(routing, payment_id)
        payment = routing.GetPayment(
            pb.GetPaymentRequest(merchant_id=MERCHANT, payment_id=payment_id), timeout=2
        )
        states = ", ".join(attempt.state for attempt in payment.attempts)
        print(f"{payment_id}: {'paid' if paid else 'not paid'} ({states})")
    return 0 if paid else 1


if __name__ == "__main__":
    sys.exit(main())
