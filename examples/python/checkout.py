"""A checkout that takes payments through Payroute: route, submit, report, and do what the answer says.

Usage: checkout.py ADDRESS[,ADDRESS...] [PAYMENT_ID] [SECONDS]

The loop is that of docs/checkout-loop.md. `submit`, `query` and `reverse` stand for your own provider integrations: Payroute
never sees credentials or card numbers. Here they play a wallet whose first channel is closed for maintenance and whose
second does not answer in time; a submit takes SECONDS (0).
"""

import itertools
import queue
import sys
import threading
import time
import uuid
from concurrent.futures import Future

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from payroute.v1 import routing_pb2 as pb
from payroute.v1 import routing_pb2_grpc

MERCHANT = "example_shop"
ROUTE_WITHIN = 2.0  # seconds for the first Route
FAILOVER_WITHIN = 0.5  # from knowing of a failure to the start of the next submit
ANSWER_WITHIN = 2.0  # a router that has not answered by then is stuck
MOST_WAITING = 10_000  # outcomes that may wait to be delivered
NOT_FOUND = 3  # "not found" is believed when it was said so often in a row
# Another router, or the same one later, may answer what this one did not.
MAY_PASS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
}


def submit(channel, attempt_no, seconds):
    """Pays with the provider behind `channel`, waiting `channel.timeout_ms` at most.

    `channel.attempt_key` is the idempotency key or order number to give: the same for a repeated submit.
    """
    time.sleep(seconds)
    if attempt_no == 1:
        return pb.RESULT_FAILED, "CHANNEL_MAINTENANCE"
    if attempt_no == 2:
        return pb.RESULT_TIMED_OUT, "TIMEOUT"
    return pb.RESULT_SUCCEEDED, ""


def query(channel):
    """Asks the provider what became of `channel.attempt_key`: a resolution, "not found", or None while it is open."""
    return pb.RESOLUTION_NOT_PROCESSED


def reverse(channel):
    """Takes the attempt back: RESOLUTION_REVERSED, RESOLUTION_CLOSED, RESOLUTION_SUCCEEDED, or None without an answer."""
    return pb.RESOLUTION_REVERSED


class Routers:
    """The routers of one Payroute, asked in turn: any of them serves any call, and a repeated call does no harm."""

    def __init__(self, addresses):
        self.connections = [grpc.insecure_channel(address) for address in addresses]
        self.stubs = [routing_pb2_grpc.RoutingServiceStub(one) for one in self.connections]
        self.turns = itertools.count()

    def once(self, method, request, seconds):
        """One round over all of them."""
        first, error = next(self.turns), None
        for nth in range(len(self.stubs)):
            stub = self.stubs[(first + nth) % len(self.stubs)]
            try:
                return getattr(stub, method)(request, timeout=min(seconds, ANSWER_WITHIN))
            except grpc.RpcError as refused:
                if refused.code() not in MAY_PASS:
                    raise
                error = refused
        raise error

    def within(self, method, request, seconds):
        """Rounds until one answers or refuses, or the time is over."""
        until, pause = time.monotonic() + seconds, 0.02
        while True:
            try:
                return self.once(method, request, max(0.01, until - time.monotonic()))
            except grpc.RpcError as refused:
                if refused.code() not in MAY_PASS or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)


class Courier(threading.Thread):
    """Tells outcomes in order until they are acknowledged, whether somebody waits for the answer or not.

    A real checkout keeps them in a file or table as well, together with every attempt before it is submitted, and tells
    them after a crash.
    """

    def __init__(self, routers):
        super().__init__(daemon=True)
        self.routers = routers
        # A full queue stops submits: an outcome that cannot be kept could be lost.
        self.letters = queue.Queue(MOST_WAITING)
        self.start()

    def has_room(self):
        return not self.letters.full()

    def tell(self, method, request):
        """The answer to come."""
        answer = Future()
        self.letters.put((method, request, answer))
        return answer

    def run(self):
        while True:
            method, request, answer = self.letters.get()
            self.deliver(method, request, answer)
            self.letters.task_done()

    def deliver(self, method, request, answer):
        pause = 0.02
        while True:
            try:
                answer.set_result(self.routers.once(method, request, ANSWER_WITHIN))
                return
            except grpc.RpcError as refused:
                # A resolution's report may still be in a router's spool.
                for_now = MAY_PASS | {grpc.StatusCode.UNAUTHENTICATED}
                if method == "ResolveAttempt":
                    for_now = for_now | {grpc.StatusCode.NOT_FOUND}
                if refused.code() not in for_now:
                    print(f"an outcome was refused: {refused.details()}", file=sys.stderr)
                    answer.set_exception(refused)
                    return
                time.sleep(max(pause, asked_to_wait(refused)))
                pause = min(pause * 2, 5.0)

    def flush(self):
        self.letters.join()


def asked_to_wait(refused):
    """How long a router wants to be left alone, in seconds."""
    status = rpc_status.from_call(refused)
    for detail in status.details if status else []:
        info = error_details_pb2.RetryInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return info.retry_delay.ToTimedelta().total_seconds()
    return 0.0


class Payment:
    """One payment, over as many attempts as are allowed."""

    def __init__(self, routers, courier, payment_id, seconds=0.0, guard=False):
        self.routers, self.courier, self.payment_id = routers, courier, payment_id
        self.seconds, self.guard = seconds, guard
        self.receipts, self.tried = [], []
        # With `guard`: who repeats a Route is told the same, and nobody else.
        self.request_id = uuid.uuid4().hex

    def pay(self):
        """Whether it was paid; None when nobody knows yet."""
        failed_at = None
        while True:
            attempt_no = len(self.tried) + 1
            try:
                decision = self.route(attempt_no, failed_at)
            except grpc.RpcError as refused:
                print(f"attempt {attempt_no}: not routed: {refused.details()}")
                return False
            if decision.action != pb.ACTION_SUBMIT:
                print(f"attempt {attempt_no}: {pb.Action.Name(decision.action)}")
                return None if decision.action == pb.ACTION_WAIT_AND_QUERY else False
            if not self.courier.has_room():
                return False
            in_time = failed_at is None or time.monotonic() - failed_at <= FAILOVER_WITHIN
            if not in_time:
                return False
            state, action, failed_at = self.attempt(decision, attempt_no)
            if action != pb.NEXT_ACTION_SWITCH:
                return None if action == pb.NEXT_ACTION_QUERY_FIRST else state == "succeeded"

    def route(self, attempt_no, failed_at):
        """Asks where this attempt goes, or whether there may be one."""
        request = pb.RouteRequest(
            merchant_id=MERCHANT,
            payment_id=self.payment_id,
            attempt_no=attempt_no,
            amount_minor=1999,
            currency="CNY",
            method="wechat_pay",
            presentment="h5",
            country="CN",
            locale="en",
            previous_attempts=self.receipts,
            exclude_channels=self.tried,
            guard=self.guard,
            request_id=self.request_id,
        )
        if failed_at is None:
            return self.routers.within("Route", request, ROUTE_WITHIN)
        left = FAILOVER_WITHIN - (time.monotonic() - failed_at)
        return self.routers.within("Route", request, max(left, 0.0))

    def attempt(self, decision, attempt_no):
        """One attempt: submitted, told, tried once more if that is the advice, and asked for until it is settled."""
        channel, retry_of = decision.channel, b""
        print(f"attempt {attempt_no}: {channel.channel_id}, key {channel.attempt_key}")
        self.tried.append(channel.channel_id)
        for nth in (1, 2):
            started_at, began = Timestamp(), time.monotonic()
            started_at.GetCurrentTime()
            result, code = submit(channel, attempt_no, self.seconds)
            known_at = time.monotonic()
            report = pb.ReportOutcomeRequest(
                decision_token=decision.decision_token,
                attempt_id=f"{channel.attempt_key}-{nth}",
                channel_id=channel.channel_id,
                result=result,
                # The codes in `submit` are Payroute's own; leave this out to report the provider's codes as they are.
                provider="payroute",
                code=code,
                started_at=started_at,
                latency_ms=int((known_at - began) * 1000),
                retry_of=retry_of,
            )
            told = self.courier.tell("ReportOutcome", report)
            if result == pb.RESULT_SUCCEEDED:
                # The customer need not wait for the acknowledgement.
                print("           succeeded")
                return "succeeded", pb.NEXT_ACTION_NONE, known_at
            answer = told.result()
            show(answer)
            if answer.next.action != pb.NEXT_ACTION_RETRY_SAME:
                break
            # The same channel and key, but a submit of its own: the receipt tells that it is the second.
            retry_of = answer.receipt
            sleep_until(answer.next.not_before, most=0.2)
        if answer.next.action == pb.NEXT_ACTION_QUERY_FIRST:
            answer, known_at = self.settle(channel, answer)
        self.receipts.append(answer.receipt)
        return answer.state, answer.next.action, known_at

    def settle(self, channel, answer):
        """It may have charged. Nothing else may be submitted before the provider has said what became of it."""
        resolution, source = self.find_out(channel, answer.next)
        known_at = time.monotonic()
        request = pb.ResolveAttemptRequest(receipt=answer.receipt, resolution=resolution, source=source)
        answer = self.courier.tell("ResolveAttempt", request).result()
        show(answer)
        return answer, known_at

    def find_out(self, channel, plan):
        not_found = 0
        for moment in plan.query_at:
            sleep_until(moment)
            found = query(channel)
            not_found = not_found + 1 if found == "not found" else 0
            if not_found == NOT_FOUND:
                return pb.RESOLUTION_NOT_PROCESSED, pb.RESOLUTION_SOURCE_QUERY
            if found not in (None, "not found"):
                return found, pb.RESOLUTION_SOURCE_QUERY
        if plan.HasField("reverse_not_before"):
            sleep_until(plan.reverse_not_before)
            for _ in range(3):
                reversal = reverse(channel)
                if reversal is not None:
                    return reversal, pb.RESOLUTION_SOURCE_REVERSAL
                time.sleep(2)
        return pb.RESOLUTION_STILL_UNKNOWN, pb.RESOLUTION_SOURCE_QUERY


def show(answer):
    print(f"           {answer.state}, then {pb.NextAction.Name(answer.next.action)}")
    if answer.customer_message.what:
        print(f"           customer: {answer.customer_message.what}")


def sleep_until(moment, most=float("inf")):
    """Clocks differ: `most` is what may be waited at all."""
    time.sleep(min(max(0.0, moment.ToNanoseconds() / 1e9 - time.time()), most))


def main():
    addresses = sys.argv[1].split(",")
    payment_id = sys.argv[2] if len(sys.argv) > 2 else f"ord_{uuid.uuid4().hex[:12]}"
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    routers = Routers(addresses)
    courier = Courier(routers)
    paid = Payment(routers, courier, payment_id, seconds).pay()
    courier.flush()
    request = pb.GetPaymentRequest(merchant_id=MERCHANT, payment_id=payment_id)
    payment = routers.within("GetPayment", request, ROUTE_WITHIN)
    states = ", ".join(attempt.state for attempt in payment.attempts)
    print(f"{payment_id}: {'paid' if paid else 'not paid'} ({states})")
    return 0 if paid else 1


if __name__ == "__main__":
    sys.exit(main())
