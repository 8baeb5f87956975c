"""Comparison of typed passwords and codes, with a limit on tries. Nothing else compares them.

Whoever asks here can guess, so each try is counted before it is looked at and only a right one is taken
back: per address of the visitor (for IPv6 its /64) and per account, over all pages and kinds of secret
together. The log-in, the current password on Mon compte and at a change of password, the proof of
identity, one-time and recovery codes share these counts, and beyond them the lock of `logins`.
`tests/guards/test_source_rules.py` holds that nobody compares elsewhere.

Load is no guess: tries at one account take turns, so that right passwords sent at the same moment do not
count against each other, and a counter that cannot be asked in time refuses nobody. The lock, which is a
row of the database, still counts then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backoffice.base import ratelimit
from companies.accounts import logins
from companies.login_library import Rate, get_rates, mark_code_used, validate_totp_code
from companies.models import User

TOO_MANY = _("Trop d'essais infructueux. Attendez quelques minutes avant de réessayer.")
# Seconds: how long a try waits for others at the same account or from the same address, and when one
# that never ended is forgotten.
WAIT = 8.0
HOLD = 30


class TooManyGuesses(ValidationError):
    """The limit of wrong tries is reached; nothing was looked at."""

    def __init__(self) -> None:
        super().__init__(TOO_MANY, code="too_many_login_attempts")


@dataclass
class Guess:
    """A try that was counted.

    Attributes:
        admitted: whether a right answer would be taken; the lock of the account says no.
        right: set by `answer`.
    """

    admitted: bool = True
    right: bool = False

    def answer(self, right: bool) -> bool:
        """Note whether it was right; returns whether it is taken."""
        self.right = right and self.admitted
        return self.right


def _counters(what: str, who: str) -> list[ratelimit.Places]:
    """The counters of `ACCOUNT_RATE_LIMITS["login_failed"]` that go by "ip" or by "key"."""
    rates: list[Rate] = get_rates(app="allauth.account", action="login_failed")
    return [
        ratelimit.Places(f"guess-{what}", f"{rate} {who}", limit=rate.amount, seconds=rate.duration)
        for rate in rates
        if rate.per == what
    ]


def _account(request: HttpRequest | None, user: User | None, typed: str) -> str:
    """Return what tries are counted for: the account, in any spelling, and apart the browsers that it knows."""
    device = logins.device_of(request)
    known = logins.is_known(device, user)
    if user is None:
        return f"typed:{logins.normalised(typed)}"
    return f"user:{user.pk}:{device}" if known else f"user:{user.pk}"


@contextmanager
def counted(
    request: HttpRequest | None, *, user: User | None, typed: str = "", of_account: bool = True, locks: bool = True
) -> Iterator[Guess]:
    """Count a try, then let the block look at it and `answer`.

    Args:
        user: whose secret it is; None for nobody's, with the same work.
        typed: what stands for the account where nobody has it.
        of_account: False where no account is meant before the answer, as with a passkey.
        locks: whether wrong tries lock the account in the end; not for what is no secret of the account.

    Raises:
        TooManyGuesses: a limit is reached. The block is not run.
    """
    guess = Guess()
    with _of_address(request, guess):
        if of_account:
            with _of_account(request, user, typed, locks, guess):
                yield guess
        else:
            yield guess


@contextmanager
def _of_address(request: HttpRequest | None, guess: Guess) -> Iterator[None]:
    held: list[tuple[ratelimit.Places, str | None]] = []
    try:
        for counter in _counters("ip", ratelimit.visitor(request)):
            held.append((counter, counter.claim(hold=HOLD, wait=WAIT)))
        yield
    except (ratelimit.Full, TooManyGuesses):
        # Nothing was looked at.
        guess.right = True
        raise TooManyGuesses from None
    finally:
        for counter, place in held:
            if guess.right:
                counter.give_back(place)
            else:
                counter.keep(place)


@contextmanager
def _of_account(
    request: HttpRequest | None, user: User | None, typed: str, locks: bool, guess: Guess
) -> Iterator[None]:
    whom = _account(request, user, typed)
    counters = _counters("key", whom)
    # Asked before the turn as well: who is over the limit does not make others wait.
    if any(counter.is_full() for counter in counters):
        raise TooManyGuesses
    with ratelimit.turn("guess", whom, wait=WAIT, hold=HOLD):
        if any(counter.is_full() for counter in counters):
            raise TooManyGuesses
        attempt = logins.login_begun(user=user, typed=typed, request=request) if locks else None
        guess.admitted = attempt is None or attempt.admitted
        try:
            yield
        finally:
            if not guess.right:
                for counter in counters:
                    counter.keep()
            if attempt is not None and guess.right:
                logins.password_was_right(attempt)
            elif attempt is not None:
                logins.password_was_wrong(attempt)


# --- What is compared -----------------------------------------------------------------------------


def is_password(request: HttpRequest, user: User, typed: str) -> bool:
    """Whether this is the password of a logged-in user.

    Raises:
        TooManyGuesses: nothing was looked at.
    """
    with counted(request, user=user) as guess:
        return guess.answer(user.check_password(typed))


def authenticator_of(request: HttpRequest, user: User, typed: str) -> Authenticator | None:
    """The second factor whose one-time or recovery code this is; the code is used up.

    Raises:
        TooManyGuesses: nothing was looked at.
    """
    with counted(request, user=user) as guess:
        if guess.admitted:
            for authenticator in Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN):
                if guess.answer(authenticator.wrap().validate_code(typed)):
                    return authenticator
    return None


def is_code_of_secret(request: HttpRequest, user: User, secret: str, typed: str) -> bool:
    """Whether a code belongs to a secret that was just shown and is about to become a second factor.

    Raises:
        TooManyGuesses: nothing was looked at.
    """
    with counted(request, user=user, locks=False) as guess:
        return guess.answer(validate_totp_code(secret, typed))


def use_up(authenticator: Authenticator, code: str) -> bool:
    """Use up a one-time code that proved something else than a log-in; False when it was used before."""
    return mark_code_used(authenticator, code)


def first_use(what: str, proof: str) -> bool:
    """Whether a proof that cannot be made again is shown for the first time, within the hour that it could be good."""
    return ratelimit.once(f"used-{what}", proof, seconds=3600)


def is_stored_password(user: User, given: str) -> bool:
    """Whether an operator's file repeats the password that an account has. Not counted: for commands only."""
    return user.check_password(given)
