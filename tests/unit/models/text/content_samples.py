# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""What must stay and what must go besides quotes: customers' own lists, signatures, forwards, HTML mails."""

from tests.unit.models.text.reply_samples import OLD, QUOTED, A, Sample

_JOURNEY = "Name: Ann\nFrom: Berlin\nTo: Paris\nDate: 03.03.2026\nSubject: refund\n\n"
_PROSE = "Also the export fails with error 500 when I pick more than 100 rows; this started on Monday. Please call me."
_WRAPPED = "The export also fails with error 500 when I\npick more than 100 rows, and we are losing\norders"

_CONTACT_FORM = "From: Bob <bob@home.example>\nSent: 3.3.2020 13:11\nSubject: Parcel\nMessage: My parcel is lost."

KEPT = (
    Sample("contact_form", _CONTACT_FORM, _CONTACT_FORM),
    Sample(
        "travel_list",
        "I need a ticket.\n\nFrom: Berlin\nTo: Paris\nDate: 3 May 2020",
        "I need a ticket.\n\nFrom: Berlin\nTo: Paris\nDate: 3 May 2020",
    ),
    Sample(
        "order_list",
        "Please change:\n\nName: Ann Lee\nOrder: 4711\nDate: 03.03.2020 13:11",
        "Please change:\n\nName: Ann Lee\nOrder: 4711\nDate: 03.03.2020 13:11",
    ),
    Sample(
        "log_follows",
        "Log from 2020-03-03 13:11:\nERROR 500 at /pay\nPlease help.",
        "Log from 2020-03-03 13:11:\nERROR 500 at /pay\nPlease help.",
    ),
    Sample(
        "own_story",
        "On 3 March 2020 at 10:10 I wrote:\nplease cancel my order. Nobody answered.",
        "On 3 March 2020 at 10:10 I wrote:\nplease cancel my order. Nobody answered.",
    ),
    Sample(
        "contact_with_mail",
        "On 3 March 2020 at 10:10 I wrote to help@shop.example and got this answer:\nno refund",
        "On 3 March 2020 at 10:10 I wrote to help@shop.example and got this answer:\nno refund",
    ),
    Sample(
        "german_story",
        "Am 3.3.2020 schrieb ich Ihnen und bekam diese Antwort:\nkeine Erstattung",
        "Am 3.3.2020 schrieb ich Ihnen und bekam diese Antwort:\nkeine Erstattung",
    ),
    Sample(
        "route_in_spanish",
        "Quiero cambiar:\nDe: Madrid\nA: París\nFecha: 3 de mayo de 2020",
        "Quiero cambiar:\nDe: Madrid\nA: París\nFecha: 3 de mayo de 2020",
    ),
    Sample(
        "shell_and_prices",
        "The app says:\nerror: a > b\nPrice: 10 EUR\nFrom: 1.1.2020",
        "The app says:\nerror: a > b\nPrice: 10 EUR\nFrom: 1.1.2020",
    ),
    Sample("markdown_table", "| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
    Sample(
        "dashes_inside",
        "First problem\n----------\nIt does not start.\n----------\nSecond problem\nIt smells.",
        "First problem\n----------\nIt does not start.\n----------\nSecond problem\nIt smells.",
    ),
    Sample("question_marks", "???", "???"),
    Sample(
        "bottom_posted",
        f"On Tue, Mar 3, 2020 at 1:11 PM {A} wrote:\n\n{QUOTED}\nMy number is 4711.",
        "My number is 4711.",
    ),
    Sample(
        "between_quotes",
        f"On 3/3/20 1:11 PM, {A} wrote:\n> Did you restart it?\n\nYes, twice.\n\n> Is the light red?\n\nNo, it is green.\n\nAnn",
        "Yes, twice.\n\nNo, it is green.\n\nAnn",
    ),
    Sample(
        "above_and_below",
        f"Hello,\n\nOn 3/3/20 1:11 PM, {A} wrote:\n> Did you restart it?\n\nYes, twice.",
        "Hello,\n\nYes, twice.",
    ),
    Sample(
        "docs_passage",
        "Your docs say:\n\n> Export runs nightly.\n\nBut mine did not.",
        "Your docs say:\n\n> Export runs nightly.\n\nBut mine did not.",
    ),
    Sample("form_of_a_journey", f"{_JOURNEY}My train was cancelled.", f"{_JOURNEY}My train was cancelled."),
    Sample("prose_below_dashes", f"I cannot log in.\n--\n{_PROSE}\nBob", f"I cannot log in.\n--\n{_PROSE}\nBob"),
    Sample("wrapped_below_dashes", f"I cannot log in.\n--\n{_WRAPPED}\nBob", f"I cannot log in.\n--\n{_WRAPPED}\nBob"),
    Sample("list_below_dashes", "Steps:\n\n-- \n1. open it\n2. crash", "Steps:\n\n--\n1. open it\n2. crash"),
    Sample("only_quotes", "> Did you restart it?\n> Is the light red?", "> Did you restart it?\n> Is the light red?"),
)

_DISCLAIMER_EN = "This e-mail is confidential and intended solely for the addressee. If you received this e-mail in error, please notify the sender and delete it."
_DISCLAIMER_DE = "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, informieren Sie bitte den Absender und vernichten Sie diese Mail."

SIGNATURES = (
    Sample("delimiter", "It is broken.\n\n-- \nAnn Lee\nHead of Sales\nAcme Ltd", "It is broken."),
    Sample(
        "company",
        "It is broken.\n\n-- \nJordan Lee\nOffice Manager | Acme Inc.\njordan.lee@acme.example",
        "It is broken.",
    ),
    Sample("contacts", "It is broken.\n\n--\nAnn Lee\n+49 30 1234567\nhttps://acme.example", "It is broken."),
    Sample(
        "motto_kept",
        "It is broken.\n\n-- \nAnn Lee <ann@home.example> Acme Ltd\nDo not believe all that is written on the net.",
        "It is broken.\n\nDo not believe all that is written on the net.",
    ),
    Sample(
        "postscript_kept",
        "It is broken.\n\nRegards\nAnn\nPS: call me on +49 30 1234567",
        "It is broken.\n\nRegards\nAnn\nPS: call me on +49 30 1234567",
    ),
)

LOOKALIKES = (
    "It is broken.\n\nSent from my iPhone",
    "Es ist kaputt.\n\nVon meinem iPhone gesendet",
    "坏了。\n\n发自我的iPhone",
    "It is broken.\n\nBest regards,\nAnn Lee\nHead of Sales\nTel: +49 30 1234567\nwww.acme.example",
    f"It is broken.\n\nAnn\n\n{_DISCLAIMER_EN}",
    f"Es ist kaputt.\n\nGeschäftsführer: Max Muster, HRB 1234\n\n{_DISCLAIMER_DE}",
    "CAUTION: This email originated from outside of the organization. Do not click links.\n\nIt is broken.",
    "My parcel is lost.\nSent from Berlin on Monday.",
    "It is broken.\n\nYou received this message because you are subscribed to the group.",
)
"""Nothing but words says what these are: they stay, for the model to learn that they mean nothing."""

_INNER_TEXT = "My parcel is lost.\nPlease help."
_INNER = f"From: Bob <bob@home.example>\nDate: Tue, Mar 3, 2020 at 1:11 PM\nSubject: Parcel\nTo: <ann@home.example>\n\n{_INNER_TEXT}"

FORWARDS = (
    Sample("gmail", f"---------- Forwarded message ---------\n{_INNER}", _INNER_TEXT),
    Sample(
        "gmail_with_words",
        f"Can you answer Bob?\n\n---------- Forwarded message ---------\n{_INNER}",
        f"Can you answer Bob?\n\n{_INNER_TEXT}",
    ),
    Sample("apple", f"Begin forwarded message:\n\n{_INNER}", _INNER_TEXT),
    Sample(
        "apple_quoted",
        "\n".join(f"> {line}" for line in ("Begin forwarded message:", "", *_INNER.split("\n"))),
        _INNER_TEXT,
    ),
    Sample(
        "gmail_de",
        f"---------- Weitergeleitete Nachricht ---------\nVon: Bob <bob@home.example>\nDate: Di., 3. März 2020 um 13:11\nSubject: Paket\nTo: <ann@home.example>\n\n{_INNER_TEXT}",
        _INNER_TEXT,
    ),
    Sample(
        "outlook_no_words",
        f"\nVon: Bob\nGesendet: Dienstag, 3. März 2020 13:11\nAn: Ann\nBetreff: Paket\n\n{_INNER_TEXT}",
        _INNER_TEXT,
    ),
    Sample(
        "outlook_pointer",
        f"FYI\n\nFrom: Bob\nSent: Tuesday, March 3, 2020 1:11 PM\nTo: Ann\nSubject: Parcel\n\n{_INNER_TEXT}",
        f"FYI\n\n{_INNER_TEXT}",
    ),
    Sample(
        "inner_history_kept",
        f"---------- Forwarded message ---------\n{_INNER}\n\nOn 3/2/20 1:11 PM, {A} wrote:\n> Which parcel?",
        f"{_INNER_TEXT}\n\nOn 3/2/20 1:11 PM, {A} wrote:\nWhich parcel?",
    ),
)

HTML = (
    Sample("rule_between", "<p>Please handle.</p><hr><p>Second part</p>", f"Please handle.\n{'-' * 32}\n\nSecond part"),
    Sample(
        "passage_of_a_page",
        "<p>The page says:</p><blockquote>Payment declined</blockquote><p>but my bank approved it.</p>",
        "The page says:\n> Payment declined\n\nbut my bank approved it.",
    ),
    Sample(
        "gmail",
        f'<div dir="ltr">My number is <b>4711</b>.</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Tue, Mar 3, 2020 at 1:11 PM Service &lt;<a href="mailto:help@shop.example">help@shop.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0px">{OLD}</blockquote></div>',
        "My number is 4711.",
    ),
    Sample(
        "outlook_desktop",
        f'<html><head><style>p {{margin:0}}</style></head><body><p class=MsoNormal>My number is 4711.<o:p></o:p></p><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><p class=MsoNormal><b>From:</b> Service<br><b>Sent:</b> Tuesday, March 3, 2020 1:11 PM<br><b>To:</b> Ann<br><b>Subject:</b> Order</p></div><p class=MsoNormal>{OLD}</p></body></html>',
        "My number is 4711.",
    ),
    Sample(
        "outlook_web",
        f'<div>My number is 4711.</div><hr style="display:inline-block;width:98%"><div id="divRplyFwdMsg" dir="ltr"><font><b>Saatja:</b> Service &lt;help@shop.example&gt;<br><b>Saadetud:</b> 3. märts 2020 13:11<br><b>Adressaat:</b> Ann<br><b>Teema:</b> Tellimus</font></div><div>{OLD}</div>',
        "My number is 4711.",
    ),
    Sample(
        "apple",
        f'<div>My number is 4711.</div><div><br><blockquote type="cite"><div>On 3 Mar 2020, at 13:11, Service &lt;help@shop.example&gt; wrote:</div><div>{OLD}</div></blockquote></div>',
        "My number is 4711.",
    ),
    Sample(
        "yahoo",
        f'<div>My number is 4711.</div><div id="ydp1" class="yahoo_quoted"><div>On Tuesday, March 3, 2020, Service wrote:</div><div>{OLD}</div></div>',
        "My number is 4711.",
    ),
    Sample(
        "thunderbird",
        f'<p>My number is 4711.</p><div class="moz-cite-prefix">Am 03.03.20 um 13:11 schrieb Shop Service:<br></div><blockquote type="cite" cite="mid:x">{OLD}</blockquote>',
        "My number is 4711.",
    ),
    Sample(
        "hidden",
        '<div style="display:none">preheader</div><script>x()</script><!-- c --><p>It is &amp; stays broken.</p>',
        "It is & stays broken.",
    ),
)
