"""A checkout that takes payments through Payroute: route, submit, report, and do what the answer says.

Usage: checkout.py ADDRESS [PAYMENT_ID]

`submit` stands for your own provider integrations: Payroute never sees credentials or card numbers. Here it plays a
wallet whose first channel answers that it is closed for maintenance, so that the switch can be seen.
"""

import sys
import time
import uuid

import grpc

from payroute.v1 import routing_pb2 as pb
from payroute.v1 import routing_pb2_grpc


def submit(channel, attempt_no):
    """Calls the provider behind `channel` with `channel.attempt_key` as its idempotency key or order number."""
    if attempt_no == 1:
        return pb.RESULT_FAILED, "CHANNEL_MAINTENANCE"
    return pb.RESULT_SUCCEEDED, "OK"


def pay(routing, payment_id):
    """One payment, over at most three attempts. Returns the state of the last attempt."""
    receipts, tried, state = [], [], "none"
    for attempt_no in (1, 2, 3):
        decision = routing.Route(
            pb.RouteRequest(
                merchant_id="example_shop",
                payment_id=payment_id,
                attempt_no=attempt_no,
                amount_minor=1999,
                currency="CNY",
                method="wechat_pay",
                presentment="h5",
                country="CN",
                locale="en",
                exclude_channels=tried,
                previous_attempts=receipts,
            ),
            timeout=2,
        )
        if decision.action != pb.ACTION_SUBMIT:
            print(f"attempt {attempt_no}: {pb.Action.Name(decision.action)}")
            return state
        channel = decision.channel
        print(f"attempt {attempt_no}: {channel.channel_id} as {channel.attempt_key}")

        began = time.monotonic()
        result, code = submit(channel, attempt_no)
        report = routing.ReportOutcome(
            pb.ReportOutcomeRequest(
                decision_token=decision.decision_token,
                # Kept with the order: a report that is sent again is then recognised.
                attempt_id=f"{payment_id}-{attempt_no}",
                channel_id=channel.channel_id,
                result=result,
                provider="payroute",
                code=code,
                latency_ms=int((time.monotonic() - began) * 1000),
            ),
            timeout=2,
        )
        state = report.state
        print(f"           {state}, then {pb.NextAction.Name(report.next.action)}")
        if report.customer_message.what:
            print(f"           customer: {report.customer_message.what}")
        if report.next.action != pb.NEXT_ACTION_SWITCH:
            return state
        tried.append(channel.channel_id)
        receipts.append(report.receipt)
    return state


def main():
    address = sys.argv[1]
    payment_id = sys.argv[2] if len(sys.argv) > 2 else f"ord_{uuid.uuid4().hex[:12]}"
    with grpc.insecure_channel(address) as connection:
        routing = routing_pb2_grpc.RoutingServiceStub(connection)
        state = pay(routing, payment_id)
        payment = routing.GetPayment(
            pb.GetPaymentRequest(merchant_id="example_shop", payment_id=payment_id), timeout=2
        )
        print(f"{payment_id}: {state} after {len(payment.attempts)} attempts")
    return 0 if state == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main())
