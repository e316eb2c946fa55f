"""A loyalty system that takes its time over lists; to enroll takes as many seconds as the last name says."""

import time

from models.caller import Caller
from tests.http.slow_backend import SlowBackend

LIST_SECONDS = 0.3


class SlowLists(SlowBackend):
    def list(self, caller: Caller, provider_membership_ids: list[str]) -> list[dict]:
        time.sleep(LIST_SECONDS)
        return super().list(caller, provider_membership_ids)
