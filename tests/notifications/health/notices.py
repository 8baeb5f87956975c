"""Notices about undelivered mail as servers write them, about a mail that really left."""

from tests.smtp import Received


def _original(mail: Received, *, headers_only: bool = False) -> str:
    text = mail.raw.decode("ascii").replace("\r\n", "\n")
    return text.partition("\n\n")[0] + "\n" if headers_only else text


def postfix(mail: Received, *, status: str = "5.1.1", said: str = "550 5.1.1 <{to}>: Recipient address rejected: User unknown", action: str = "failed", to: str = "", envelope: str = "") -> bytes:  # fmt: skip
    recipient = to or mail.rcpt_tos[0]
    return f"""Return-Path: <>
Delivered-To: {envelope or mail.mail_from}
Received: by mx.relay.example (Postfix)
\tid 4Yxkq12; Fri, 27 Nov 2026 10:00:00 +0100 (CET)
Date: Fri, 27 Nov 2026 10:00:00 +0100 (CET)
From: MAILER-DAEMON@mx.relay.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {envelope or mail.mail_from}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4Yxkq12.1764/mx.relay.example"

This is a MIME-encapsulated message.

--4Yxkq12.1764/mx.relay.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.relay.example.

<{recipient}>: host mx.lumiere.example[203.0.113.25] said: {said.format(to=recipient)}

--4Yxkq12.1764/mx.relay.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.relay.example
X-Postfix-Queue-ID: 4Yxkq12
X-Postfix-Sender: rfc822; {mail.mail_from}
Arrival-Date: Fri, 27 Nov 2026 09:59:59 +0100 (CET)

Final-Recipient: rfc822; {recipient}
Original-Recipient: rfc822;{recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.lumiere.example
Diagnostic-Code: smtp; {said.format(to=recipient)}

--4Yxkq12.1764/mx.relay.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <{mail.mail_from}>
{_original(mail)}
--4Yxkq12.1764/mx.relay.example--
""".encode()


def exim(mail: Received, *, status: str = "5.0.0", said: str = "550-5.1.1 The email account that you tried to reach does not exist. Please try\n 550-5.1.1 double-checking the recipient's email address\n 550 5.1.1 https://support.example/?p=NoSuchUser f1si", action: str = "failed") -> bytes:  # fmt: skip
    """As Exim 4.9x does: 5.0.0 whatever the server said, headers of the mail only."""
    to = mail.rcpt_tos[0]
    return f"""Return-path: <>
Envelope-to: {mail.mail_from}
Delivery-date: Fri, 27 Nov 2026 10:00:00 +0000
Received: from Debian-exim by mail.relay.example with local (Exim 4.96)
\tid 1tGxyz-0001Ab-2C; Fri, 27 Nov 2026 10:00:00 +0000
X-Failed-Recipients: {to}
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mail.relay.example>
To: {mail.mail_from}
References: {mail.message["Message-ID"]}
Content-Type: multipart/report; report-type=delivery-status; boundary=1764237600-eximdsn-1804289383
MIME-Version: 1.0
Subject: Mail delivery failed: returning message to sender

--1764237600-eximdsn-1804289383
Content-type: text/plain; charset=us-ascii

This message was created automatically by mail delivery software.

  {to}
    host mx.lumiere.example [203.0.113.25]
    SMTP error from remote mail server after RCPT TO:<{to}>:
    {said}

--1764237600-eximdsn-1804289383
Content-type: message/delivery-status

Reporting-MTA: dns; mail.relay.example

Action: {action}
Final-Recipient: rfc822;{to}
Status: {status}
Remote-MTA: dns; mx.lumiere.example
Diagnostic-Code: smtp; {said}

--1764237600-eximdsn-1804289383
Content-type: text/rfc822-headers

{_original(mail, headers_only=True)}
--1764237600-eximdsn-1804289383--
""".encode()


def exchange(mail: Received, *, status: str = "5.1.10", said: str = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {to} not found by SMTP address lookup") -> bytes:  # fmt: skip
    """As Exchange Online does: HTML beside text, a display name, base64, headers in capitals."""
    to = mail.rcpt_tos[0]
    return f"""From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@lumiere.example>
To: <{mail.mail_from}>
Date: Fri, 27 Nov 2026 10:00:00 +0000
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="b4e3a1f0-7d0a-4b0e-9d2a-6f6f0c2f0d11"
X-MS-Exchange-Message-Is-Ndr:
Content-Language: fr-FR
Message-ID: <5f0c-ndr@PR3P195MB0123.EURP195.PROD.OUTLOOK.COM>
In-Reply-To: {mail.message["Message-ID"]}
References: {mail.message["Message-ID"]}
Subject: Non remis : votre message
Auto-Submitted: auto-replied
MIME-Version: 1.0

--b4e3a1f0-7d0a-4b0e-9d2a-6f6f0c2f0d11
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="5dd0a3f2-1f7b-41f2-8a1c-0b5e0f0b6c22"

--5dd0a3f2-1f7b-41f2-8a1c-0b5e0f0b6c22
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: base64

Vm90cmUgbWVzc2FnZSBuJ2EgcGFzIHB1IMOqdHJlIHJlbWlzLg==

--5dd0a3f2-1f7b-41f2-8a1c-0b5e0f0b6c22
Content-Type: text/html; charset="utf-8"

<html><body><p>Votre message n'a pas pu être remis.</p></body></html>

--5dd0a3f2-1f7b-41f2-8a1c-0b5e0f0b6c22--

--b4e3a1f0-7d0a-4b0e-9d2a-6f6f0c2f0d11
Content-Type: message/delivery-status

Reporting-MTA: dns;PR3P195MB0123.EURP195.PROD.OUTLOOK.COM
Received-From-MTA: dns;mail.relay.example
Arrival-Date: Fri, 27 Nov 2026 09:59:58 +0000

Final-Recipient: RFC822;{to.upper()}
Action: FAILED
Status: {status}
Diagnostic-Code: smtp;{said.format(to=to)}

--b4e3a1f0-7d0a-4b0e-9d2a-6f6f0c2f0d11
Content-Type: message/rfc822

Received: from mail.relay.example (192.0.2.25) by PR3P195MB0123.EURP195.PROD.OUTLOOK.COM
{_original(mail)}
--b4e3a1f0-7d0a-4b0e-9d2a-6f6f0c2f0d11--
""".encode()


def sendmail(mail: Received, *, status: str = "5.2.1", said: str = "550 5.2.1 <{to}>... Mailbox disabled for this recipient") -> bytes:  # fmt: skip
    to = mail.rcpt_tos[0]
    return f"""Received: from localhost (localhost)
\tby mx.relay.example (8.17.1/8.17.1) id 4AR9xx; Fri, 27 Nov 2026 10:00:00 GMT
Date: Fri, 27 Nov 2026 10:00:00 GMT
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.relay.example>
Message-Id: <202611271000.4AR9xx@mx.relay.example>
To: <{mail.mail_from}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4AR9xx.1764237600/mx.relay.example"
Subject: Returned mail: see transcript for details
Auto-Submitted: auto-generated (failure)

--4AR9xx.1764237600/mx.relay.example

The original message was received at Fri, 27 Nov 2026 09:59:59 GMT

   ----- The following addresses had permanent fatal errors -----
<{to}>

   ----- Transcript of session follows -----
... while talking to mx.lumiere.example.:
<<< {said.format(to=to)}
550 5.1.1 <{to}>... User unknown

--4AR9xx.1764237600/mx.relay.example
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.relay.example
Received-From-MTA: DNS; backoffice.example
Arrival-Date: Fri, 27 Nov 2026 09:59:59 GMT

Final-Recipient: RFC822; <{to}>
X-Actual-Recipient: X-UNIX; |/usr/bin/procmail
Action: failed
Status: {status}
Diagnostic-Code: SMTP; {said.format(to=to)}
Last-Attempt-Date: Fri, 27 Nov 2026 10:00:00 GMT

--4AR9xx.1764237600/mx.relay.example
Content-Type: text/rfc822-headers

Return-Path: <{mail.mail_from}>
{_original(mail, headers_only=True)}
--4AR9xx.1764237600/mx.relay.example--
""".encode()


def qmail(mail: Received, *, said: str = "Sorry, no mailbox here by that name. (#5.1.1)") -> bytes:
    """QSBMF: no part for machines at all."""
    return f"""Return-Path: <>
Received: (qmail 12345 invoked for bounce); 27 Nov 2026 10:00:00 -0000
Date: 27 Nov 2026 10:00:00 -0000
From: MAILER-DAEMON@relay.example
To: {mail.mail_from}
Subject: failure notice

Hi. This is the qmail-send program at relay.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{mail.rcpt_tos[0]}>:
{said}

--- Below this line is a copy of the message.

Return-Path: <{mail.mail_from}>
{_original(mail)}""".encode()


def forwarded(notice: bytes) -> bytes:
    """A notice inside the reply of a mailbox that passes its mail on."""
    return (
        b"""From: postmaster@lumiere.example
To: ne-pas-repondre@backoffice.example
Subject: TR: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: text/plain

Pour information.

--outer
Content-Type: message/rfc822

"""
        + notice
        + b"\n--outer--\n"
    )


def absence(mail: Received) -> bytes:
    return f"""From: {mail.rcpt_tos[0]}
To: {mail.mail_from}
Subject: Absence du bureau
In-Reply-To: {mail.message["Message-ID"]}
Auto-Submitted: auto-replied
Content-Type: text/plain; charset=utf-8

Je suis absent. 550 5.1.1 n'est pas une réponse.
""".encode()


DIALECTS = {"postfix": postfix, "exim": exim, "exchange": exchange, "sendmail": sendmail, "qmail": qmail}
