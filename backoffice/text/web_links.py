"""Links that merchants type and other people click: which are taken, and how they are shown.

A link is read as strictly as a URL that is called (`targets`): https or http, a name that is what it looks
like, no user and no password before it. Unlike such a URL it may lead to a part of a page. A host
that may be taken for another one is shown in its form on the wire.

Pure: no database, no settings, no clock.
"""

import re
from urllib.parse import quote

from django.utils.translation import gettext as _

from backoffice.text import hosts, targets
from backoffice.text.targets import BadUrl, Problem
from backoffice.text.url_words import reason, shown

MAX_LENGTH = targets.MAX_LENGTH
# What programs turn into a link where it stands in a text.
_IN_TEXT = re.compile(r"(?<![\w+.-])([a-z][a-z0-9+.-]{0,30}):(//|\\\\)([^\s<>\"«»]*)", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(r"(?<![\w@./-])www\.([^\s<>\"«»/?#]+)", re.IGNORECASE)
_TRAILING = ".,;:!?)]}'’…"


class BadLink(ValueError):
    """A link that is refused; the message is a sentence that names it, in the active language, `reason` its end."""

    def __init__(self, url: str, reason: str) -> None:
        self.reason = reason
        super().__init__(_("« %(url)s » n'est pas une URL valide : %(reason)s") % {"url": shown(url), "reason": reason})


def check(url: str) -> str:
    """The link trimmed. Raises BadLink."""
    typed = url.strip()
    try:
        target = _read(typed)
        if target.address is None and "." not in target.host and target.host != "localhost":
            raise BadUrl(Problem.HOST)
    except BadUrl as bad:
        raise BadLink(typed, _reason(bad)) from None
    return typed


def _reason(bad: BadUrl) -> str:
    match bad.problem:
        case Problem.SCHEME:
            return _("un lien commence par https:// ou http://.")
        case Problem.HOST:
            return _("le nom du site est incomplet, ou contient un caractère qui n'y va pas.")
    return reason(bad)


def _read(url: str) -> targets.Target:
    base, _hash, fragment = url.partition("#")
    if len(url) > MAX_LENGTH:
        raise BadUrl(Problem.TOO_LONG)
    if bad := targets.bad_character(fragment):
        raise BadUrl(Problem.CHARACTERS, bad)
    return targets.read(base)


def check_text(text: str) -> None:
    """Refuse a text with a link that would be refused alone: by its scheme, or for a user before its host.

    Raises BadLink.
    """
    for scheme, _slashes, rest in _IN_TEXT.findall(text):
        if scheme.lower() not in targets.DEFAULT_PORTS:
            raise BadLink(f"{scheme}://{rest}", _reason(BadUrl(Problem.SCHEME)))
        if "@" in re.split(r"[/?#\\]", rest, maxsplit=1)[0]:
            raise BadLink(f"{scheme}://{rest}", _reason(BadUrl(Problem.USERINFO)))


def for_display(url: str) -> str:
    """Return a link for display: as typed, or with the host in ASCII where it looks like another one."""
    if url.isascii() and "xn--" not in url.lower():
        return url
    return _IN_TEXT.sub(_plain, url)


def host_on_the_wire(url: str) -> str:
    """The host of a typed link as it travels, where that is another spelling; empty otherwise, and for no link.

    A host that is typed as it travels is read the other way round.
    """
    try:
        host = targets.read(url.strip().partition("#")[0]).host
    except BadUrl:
        return ""
    if "xn--" not in host:
        return ""
    return host if not url.isascii() and "xn--" not in url.lower() else hosts.to_unicode(host)


def in_text(text: str) -> str:
    """A text whose links are shown as by `for_display`."""
    if text.isascii():
        return text
    if "://" in text or ":\\\\" in text:
        text = _IN_TEXT.sub(_plain, text)
    return _WITHOUT_SCHEME.sub(_plain_www, text) if "www." in text or "WWW." in text else text


def _plain(match: re.Match[str]) -> str:
    authority, rest = _cut(match[3])
    userinfo, at, host = authority.rpartition("@")
    name, colon, port = host.partition(":")
    return f"{match[1]}:{match[2]}{userinfo}{at}{_shown(name)}{colon}{port}{rest}"


def _plain_www(match: re.Match[str]) -> str:
    return match[0][:4] + _shown(match[1])


def _shown(name: str) -> str:
    kept = name.rstrip(_TRAILING)
    return hosts.shown(kept) + name[len(kept) :]


def _cut(text: str) -> tuple[str, str]:
    end = next((place for place, character in enumerate(text) if character in "/?#\\"), len(text))
    return text[:end], text[end:]


def href(url: str) -> str:
    """The link in ASCII, as it is written into a page; the text itself where it is no link of ours."""
    base, hash_, fragment = url.partition("#")
    try:
        return targets.read(base).url + hash_ + quote(fragment, safe="/?%:@!$&'()*+,;=~")
    except BadUrl:
        return url
