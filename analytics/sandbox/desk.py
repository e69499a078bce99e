"""Questions that pages ask: each runs on a thread of its own, a few at a time in this process, and can be watched."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from analytics.exceptions import AnalyticsError
from analytics.sandbox.question import Answer, Limits, Question, QuestionRefused, QuestionStopped

_MOST_AT_ONCE = 2
_PLACES = threading.BoundedSemaphore(_MOST_AT_ONCE)


@dataclass(slots=True)
class Asked:
    """One question and what has become of it so far. `answer` or `reason` is there when it `is_done`."""

    sql: str
    question: Question
    begun: float = field(default_factory=time.monotonic)
    answer: Answer | None = None
    reason: str | None = None
    is_waiting: bool = True
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._done.is_set()

    @property
    def seconds(self) -> float:
        """Since when it was asked."""
        return time.monotonic() - self.begun

    def cancel(self) -> None:
        """Stop it, also where it waits for its turn."""
        self.question.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for its end that long; whether it came."""
        return self._done.wait(seconds)

    def run(self) -> None:
        """Ask, when it is its turn. For the thread of `ask` alone."""
        try:
            with _PLACES:
                self.is_waiting = False
                self.answer = self.question.answer()
        except (QuestionRefused, QuestionStopped, AnalyticsError) as error:
            self.reason = str(error)
        except OSError as error:
            self.reason = f"The lake can't be asked at the moment: {error.strerror or type(error).__name__}."
        finally:
            self.reason = self.reason if self.answer or self.reason else "The lake can't be asked at the moment."
            self._done.set()


def ask(lake_dir: Path, sql: str, limits: Limits) -> Asked:
    """Begin to ask, and come back at once."""
    asked = Asked(sql, Question(lake_dir, sql, limits))
    threading.Thread(target=asked.run, name="question", daemon=True).start()
    return asked
