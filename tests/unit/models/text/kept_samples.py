# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""Made-up mails with the words that must remain, and what evidence of structure cuts: (subject, body, kept, dropped).

Of each kind several, in other languages and from other clients: a rule must hold for the kind, not for a case.
"""

from typing import NamedTuple


class Kept(NamedTuple):
    name: str
    subject: str
    body: str
    keep: tuple[str, ...]
    drop: tuple[str, ...] = ()
    html: bool = False


def _quote(text: str, signs: str = "> ") -> str:
    return "\n".join((signs + line).rstrip() for line in text.split("\n"))


_EN = "From: Kim <kim@home.example>\nSubject: Kettle\nDate: 3 March 2025 at 09:01:00 CET\nTo: Pat <pat@corp.example>\n\nI want my money back."
_OUTLOOK = "From: Kim\nSent: Monday, 3 March 2025 09:01\nTo: Pat\nSubject: Kettle\n\nI want my money back."
_FR = "De : Kim <kim@home.example>\nObjet : Bouilloire\nDate : 3 mars 2025 à 09:01:00 UTC+1\nÀ : Pat <pat@corp.example>\n\nJe veux être remboursé."
_ES = "De: Kim <kim@home.example>\nAsunto: Hervidor\nFecha: 3 de marzo de 2025, 9:01:00 CET\nPara: Pat <pat@corp.example>\n\nQuiero mi dinero."
_JA = "差出人: Kim <kim@home.example>\n件名: ケトル\n日付: 2025年3月3日 9:01:00 JST\n宛先: Pat <pat@corp.example>\n\n返金してください。"
_RU = "От: Kim <kim@home.example>\nТема: Чайник\nДата: 3 марта 2025 г., 09:01:00 GMT+3\nКому: Pat <pat@corp.example>\n\nВерните деньги."
_EO = "De: Kim <kim@home.example>\nTemo: Kaldrono\nDato: 3 marto 2025 09:01:00\nAl: Pat <pat@corp.example>\n\nMi volas monon."

FORWARDS = (
    Kept(
        "apple fr",
        "TR: Bouilloire",
        f"Merci de traiter.\n\nDébut du message transféré :\n\n{_quote(_FR)}",
        ("Merci de traiter", "remboursé"),
        ("kim@home",),
    ),
    Kept(
        "apple es",
        "Fwd: Hervidor",
        f"Ayuda, por favor.\n\nInicio del mensaje reenviado:\n\n{_quote(_ES)}",
        ("Ayuda", "Quiero mi dinero"),
    ),
    Kept(
        "apple ja",
        "Fwd: ケトル",
        f"対応お願いします。\n\n転送されたメッセージ:\n\n{_quote(_JA)}",
        ("対応お願い", "返金してください"),
    ),
    Kept(
        "apple ru",
        "Fwd: Чайник",
        f"Помогите.\n\nНачало переадресованного сообщения:\n\n{_quote(_RU)}",
        ("Помогите", "Верните деньги"),
    ),
    Kept(
        "apple under a subject of its own",
        "Who takes this?",
        f"Not ours, I think it is yours.\n\nBegin forwarded message:\n\n{_quote(_EN)}",
        ("Not ours", "money back"),
        ("kim@home",),
    ),
    Kept(
        "apple under Re",
        "Re: Kettle",
        f"Here it is once more for you all.\n\nBegin forwarded message:\n\n{_quote(_EN)}",
        ("once more", "money back"),
    ),
    Kept(
        "apple, a language without a row",
        "Fwd: Kaldrono",
        f"Bonvolu helpi al ni.\n\nKomenco de la mesaĝo:\n\n{_quote(_EO)}",
        ("Bonvolu", "volas monon"),
    ),
    Kept(
        "apple, two levels",
        "Fwd: Kettle",
        f"Please help us here.\n\nBegin forwarded message:\n\n> From: Lee <lee@corp.example>\n> Subject: Fwd: Kettle\n> Date: 3 March 2025 at 10:01:00 CET\n> To: Pat <pat@corp.example>\n>\n> Not for us.\n>\n> Begin forwarded message:\n>\n{_quote(_EN, '>> ')}",
        ("Please help", "Not for us", "money back"),
        ("lee@corp", "kim@home"),
    ),
    Kept(
        "mailmate",
        "Fwd: Kettle",
        f"Can you look?\n\nForwarded message:\n\n{_quote(_EN)}",
        ("Can you look", "money back"),
    ),
    Kept(
        "ionos",
        "WG: Kessel",
        "Bitte prüfen.\n\n---------- Ursprüngliche Nachricht ----------\nVon: Kim <kim@home.example>\nAn: Pat <pat@corp.example>\nDatum: 03.03.2025 09:01 CET\nBetreff: Kessel\n\n\nIch will mein Geld zurück.",
        ("Bitte prüfen", "Geld zurück"),
        ("kim@home",),
    ),
    Kept(
        "ionos, quoted",
        "Fwd: Kessel",
        "Bitte prüfen.\n\n> ---------- Ursprüngliche Nachricht ----------\n> Von: Kim <kim@home.example>\n> An: Pat <pat@corp.example>\n> Datum: 03.03.2025 09:01 CET\n> Betreff: Kessel\n>\n> Ich will mein Geld zurück.",
        ("Bitte prüfen", "Geld zurück"),
    ),
    Kept(
        "ionos, quoted at once",
        "Fwd: Kessel",
        "Bitte prüfen.\n> ---------- Originalnachricht ----------\n> Von: Kim <kim@home.example>\n> An: Pat <pat@corp.example>\n> Datum: 03.03.2025 09:01 CET\n> Betreff: Kessel\n>\n> Ich will mein Geld zurück.",
        ("Bitte prüfen", "Geld zurück"),
        ("kim@home",),
    ),
    Kept(
        "three clients, one in another",
        "Wer kann das?",
        "Weiter an euch.\n\nAnfang der weitergeleiteten Nachricht:\n\n> Von: Max <max@corp.example>\n> Betreff: Fwd: Kessel\n> Datum: 4. März 2025 um 10:00:00 MEZ\n> An: Lena <lena@corp.example>\n>\n> Bin nicht zuständig.\n>\n> ---------- Forwarded message ---------\n> Von: Kim <kim@home.example>\n> Date: Mo., 3. März 2025 um 09:01 Uhr\n> Subject: Kessel\n> To: <info@corp.example>\n>\n> Ich will mein Geld zurück.",
        ("Weiter an euch", "nicht zuständig", "Geld zurück"),
        ("max@corp", "kim@home"),
    ),
    Kept(
        "gmail, own subject",
        "Können Sie das übernehmen?",
        f"Gehört wohl zu Ihnen, glaube ich.\n\n---------- Forwarded message ---------\n{_EN}",
        ("Gehört wohl", "money back"),
        ("kim@home",),
    ),
    Kept(
        "outlook, own subject, German",
        "Wer übernimmt?",
        "Nicht unseres, denke ich.\n\nVon: Kim <kim@home.example>\nGesendet: Montag, 3. März 2025 09:01\nAn: Lee\nBetreff: Kessel\n\nIch will mein Geld zurück.",
        ("Geld zurück",),
    ),
    Kept(
        "outlook, three levels",
        "FW: FW: FW: Kettle",
        f"Please take over, thanks to you.\n\nFrom: Max\nSent: Monday, 3 March 2025 11:11\nTo: Pat\nSubject: FW: FW: Kettle\n\nNor ours.\n\nFrom: Lee\nSent: Monday, 3 March 2025 10:11\nTo: Max\nSubject: FW: Kettle\n\nNot ours.\n\n{_OUTLOOK}",
        ("take over", "Nor ours", "Not ours", "money back"),
        ("Sent: Monday",),
    ),
    Kept(
        "a forwarded thread",
        "Fwd: Kettle",
        "For you, please answer them.\n\nBegin forwarded message:\n\n> From: Shop <help@shop.example>\n> Subject: Re: Kettle\n> Date: 4 March 2025 at 09:01:00 CET\n> To: Kim <kim@home.example>\n>\n> Which kettle?\n>\n>> On 3 Mar 2025, at 09:01, Kim <kim@home.example> wrote:\n>>\n>> I want my money back.",
        ("please answer", "Which kettle", "money back"),
    ),
    Kept(
        "another subject inside",
        "Fwd: Your team",
        "Yours, I believe?\n\n---------- Forwarded message ---------\nFrom: Kim <kim@home.example>\nDate: Mon, Mar 3, 2025 at 9:01 AM\nSubject: Refund for order 77\nTo: Pat <pat@corp.example>\n\nAs the subject says.",
        ("Refund for order 77", "As the subject says"),
    ),
    Kept(
        "zimbra under a forward's subject",
        "Tr : Bouilloire",
        'Pour votre service, merci.\n\n----- Mail original -----\nDe: "Kim" <kim@home.example>\nÀ: "Pat" <pat@corp.example>\nEnvoyé: Lundi 3 Mars 2025 09:01:11\nObjet: Bouilloire\n\nJe veux être remboursé.',
        ("Pour votre service", "remboursé"),
    ),
    Kept(
        "apple HTML",
        "Can you?",
        '<div>Not ours, see what Kim writes.</div><br><blockquote type="cite"><div>Begin forwarded message:</div><br><div><b>From: </b>Kim &lt;kim@home.example&gt;<br></div><div><b>Subject: </b><b>Kettle</b><br></div><div><b>Date: </b>3 March 2025 at 09:01:00 CET<br></div><div><b>To: </b>Pat &lt;pat@corp.example&gt;<br></div><br><div>I want my money back.</div></blockquote>',
        ("Not ours", "money back"),
        html=True,
    ),
    Kept(
        "gmail HTML, own subject",
        "Can you?",
        '<div dir="ltr">Not ours, see what Kim writes.<br><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">---------- Forwarded message ---------<br>From: <b>Kim</b> &lt;kim@home.example&gt;<br>Date: Mon, Mar 3, 2025 at 9:01 AM<br>Subject: Kettle<br>To: Pat &lt;pat@corp.example&gt;<br></div><br><br>I want my money back.</div></div>',
        ("Not ours", "money back"),
        html=True,
    ),
    Kept(
        "outlook HTML, own subject",
        "Can you?",
        '<p class=MsoNormal>Not ours, see what Kim writes.</p><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class=MsoNormal><b>From:</b> Kim<br><b>Sent:</b> Monday, 3 March 2025 09:01<br><b>To:</b> Lee<br><b>Subject:</b> Kettle</p></div><p class=MsoNormal>I want my money back.</p>',
        ("Not ours", "money back"),
        html=True,
    ),
)

BOILERPLATE = (
    Kept(
        "confidential fr",
        "Erreur",
        "Bonjour,\n\nj'ai reçu par erreur un courriel confidentiel destiné à un autre destinataire. Que faire ?",
        ("courriel confidentiel", "Que faire"),
    ),
    Kept(
        "confidential es",
        "Correo",
        "Este mensaje no era para mí: recibí por error la factura confidencial de otro cliente.",
        ("factura confidencial",),
    ),
    Kept(
        "confidential ru",
        "Счёт",
        "Это сообщение не для меня: по ошибке мне пришёл конфиденциальный счёт.",
        ("конфиденциальный счёт",),
    ),
    Kept(
        "this message",
        "Error",
        "This message appears when I log in: unauthorized, access strictly prohibited. Please delete it from my account.",
        ("strictly prohibited", "delete it"),
    ),
    Kept(
        "diese nachricht",
        "Fehler",
        "Diese Nachricht erscheint: Empfänger unbefugt, Absender gesperrt. Was soll ich tun?",
        ("Empfänger unbefugt", "tun?"),
    ),
    Kept(
        "unsubscribe de",
        "Newsletter",
        "Guten Tag,\n\nabmelden von dieser Liste geht nicht, der Link zeigt Fehler 404.",
        ("Fehler 404",),
    ),
    Kept(
        "unsubscribe fr",
        "Newsletter",
        "Je n'arrive pas à me désabonner.\nLe lien « se désabonner » ne marche pas.",
        ("ne marche pas",),
    ),
    Kept(
        "you received",
        "Mails",
        "I keep getting this.\n\nYou received this message because you are subscribed. I am not! Stop it.",
        ("Stop it",),
    ),
    Kept(
        "external de",
        "Externe E-Mail",
        "Externe E-Mails kommen nicht an.\nSeit Montag.",
        ("kommen nicht an", "Seit Montag"),
    ),
    Kept("external banner touching", "Kettle", "CAUTION: external sender.\nI want my money back.", ("money back",)),
    Kept(
        "virus",
        "Alarm",
        "Your download contains a virus, checked for viruses with Avast.\nWho pays the liability?",
        ("contains a virus", "liability"),
    ),
    Kept(
        "scanned",
        "Scanner",
        "This email has been scanned by your printer but the attachment is empty.",
        ("attachment is empty",),
    ),
    Kept(
        "disclaimer touching, de",
        "Kessel",
        "Ich will mein Geld zurück.\nPat\nDiese E-Mail ist vertraulich. Sind Sie nicht der Empfänger, vernichten Sie sie.",
        ("Geld zurück",),
    ),
    Kept(
        "word paragraphs",
        "Order",
        '<p class="MsoNormal">Where is order 77?</p><p class="MsoNormal"><o:p>&nbsp;</o:p></p><p class="MsoNormal">This e-mail is confidential. If you are not the intended recipient, delete it.</p>',
        ("order 77",),
        html=True,
    ),
)

SIGNATURES = (
    Kept(
        "closing as a sentence fr",
        "Paiement",
        "Bonjour,\nMerci de vérifier le paiement.\nPage https://shop.example/pay\nErreur E42",
        ("vérifier le paiement", "E42"),
    ),
    Kept(
        "closing as a word",
        "Flight",
        "Best flight ever, but the bag is lost\nTag 0123 456 789\nSend it to Bonn",
        ("bag is lost", "to Bonn"),
    ),
    Kept(
        "facts below regards",
        "Order",
        "It never came.\n\nKind regards\nPat Doe\n\nOrder: 77\nTel 030 1234567\nI want my money back",
        ("Order: 77", "money back"),
    ),
    Kept(
        "facts below a greeting, de",
        "Bestellung",
        "Bitte senden.\n\nMit freundlichen Grüßen\nPat Doe\nKundennummer 4711\nTel. 030 1234567",
        ("Kundennummer 4711",),
    ),
    Kept("dashes as a divider, de", "Formular", "Name: Pat\n--\nIch will mein Geld zurück", ("Geld zurück",)),
    Kept("dashes as a divider, with a link", "Pay", "It fails here\n--\nhttps://shop.example/pay\nError E42", ("E42",)),
    Kept(
        "dashes as a divider, with a number",
        "TV",
        "The TV is broken\n--\nSerial 0123 456 789 012\nSend a technician",
        ("Serial", "technician"),
    ),
    Kept("an em dash as a divider", "Refund", "Order 77\n—\nNo refund yet", ("No refund yet",)),
    Kept(
        "underscores and a table",
        "Invoice",
        "Positions\n_________\nLamp 20 EUR\nChair 30 EUR\n_________\nTotal 50 EUR",
        ("Lamp 20 EUR", "Total 50 EUR"),
    ),
    Kept(
        "device as the matter, fr",
        "Envoi",
        "L'envoi échoue.\nEnvoyé de mon iPhone la photo arrive, de mon PC non",
        ("la photo arrive",),
    ),
    Kept("device as the matter, es", "Fotos", "Enviado desde mi iPad no llega nada al soporte", ("no llega nada",)),
    Kept(
        "ps below a signature, de",
        "Bestellung 77",
        "Bestellung 77 kam nie an.\n\n-- \nPat Doe\nTel. 030 1234567\n\nPS: Ich will mein Geld zurück",
        ("kam nie an", "Geld zurück"),
        ("030 1234567",),
    ),
    Kept(
        "text below a signature",
        "Order 77",
        "Order 77 never came.\n\n-- \nPat Doe\npat@corp.example\n\nI forgot to say: the second parcel is broken as well.",
        ("second parcel is broken",),
        ("pat@corp",),
    ),
    Kept(
        "a company's signature",
        "Order 77",
        "Order 77 never came.\n\n-- \nPat Doe | Head of Sales\nAcme Ltd\nPhone: +49 30 1234567\nwww.acme.example",
        ("never came",),
        ("1234567", "Acme Ltd"),
    ),
    Kept(
        "a signature without the blank",
        "Order 77",
        "Order 77 never came.\n\n--\nPat Doe\npat@corp.example",
        ("never came",),
        ("pat@corp",),
    ),
    Kept("an order number below a name", "Order", "It never came.\n\n-- \nPat Doe\nOrder 77", ("Order 77",)),
    Kept("list below dashes", "Steps", "What I did:\n-- \nOpen The App\nPress Send\nRead Error 42", ("Error 42",)),
    Kept(
        "names that a colon introduces",
        "Access",
        "Please add these users:\n-- \nKim Doe\nkim@home.example\nLee Roe\nlee@home.example",
        ("lee@home.example",),
    ),
    Kept("goods that a colon introduces", "Order", "My order contains:\n-- \nRed Lamp\nBlue Chair", ("Blue Chair",)),
    Kept("dashes that divide twice", "Order", "Broken:\n-- \nKitchen Lamp 5\n-- \nDining Table", ("Dining Table",)),
    Kept(
        "a sentence that goes on below dashes",
        "Mail",
        "my new e-mail is\n--\nKim Doe\nkim.new@home.example\nthanks a lot",
        ("kim.new@home.example",),
    ),
    Kept(
        "a bill below an em dash", "Bill", "Bill\n—\nMarch Invoice\nwww.shop.example/i\nwrong sum", ("March Invoice",)
    ),
    Kept(
        "a second topic below dashes",
        "Order",
        "The lamp is broken.\n\n--\n\nSecond Topic\nhttps://shop.example/chair",
        ("Second Topic",),
    ),
    Kept(
        "a call below dashes, en",
        "Call",
        "Please call\n--\nKim Doe\n030 1234567\nAfter Six",
        ("030 1234567", "After Six"),
    ),
    Kept(
        "gmail signature HTML",
        "Order 77",
        '<div>Order 77 never came.<br clear="all"><br>-- <br><div dir="ltr" class="gmail_signature">Pat Doe<br>+49 30 1234567</div></div>',
        ("never came",),
        ("1234567",),
        html=True,
    ),
)

FORMS = (
    Kept(
        "contact form as a reply, with a blank line",
        "Re: Contact form",
        "New enquiry from the site\n\nFrom: Pat <pat@home.example>\nDate: 2025-03-03 10:11\nSubject: Refund\n\nI want my money back",
        ("money back",),
    ),
    Kept(
        "output that the writer tells of",
        "Re: Crash",
        "My colleague Lee wrote:\n> E42 fatal\nWhat now?",
        ("E42 fatal", "What now"),
    ),
    Kept(
        "a quotation that the writer introduces, HTML",
        "Re: Terms",
        '<p>The mail says:</p><blockquote type="cite">Refunds in 14 days</blockquote><p>Where is mine?</p>',
        ("Refunds in 14 days", "Where is mine"),
        html=True,
    ),
    Kept(
        "contact form fr",
        "Formulaire de contact",
        "Nouvelle demande\n\nDe : Pat <pat@home.example>\nDate : 03/03/2025 10:11\nObjet : Remboursement\nMessage : Je veux être remboursé",
        ("remboursé",),
    ),
    Kept(
        "contact form with a blank line",
        "Website",
        "New enquiry from the website\n\nFrom: Pat <pat@home.example>\nDate: 2025-03-03 10:11\nSubject: Refund\n\nI want my money back",
        ("money back",),
    ),
    Kept(
        "contact form as a reply",
        "Re: Contact form",
        "Your enquiry from the website\n\nFrom: Pat <pat@home.example>\nDate: 2025-03-03 10:11\nSubject: Refund\nMessage: I want my money back",
        ("money back",),
    ),
    Kept(
        "contact form below a rule",
        "Kontakt",
        "Es gibt eine neue Anfrage\n--------------------\nVon: Pat <pat@home.example>\nDatum: 03.03.2025 10:11\nBetreff: Erstattung\nNachricht: Ich will mein Geld zurück",
        ("Geld zurück",),
    ),
    Kept(
        "booking form de",
        "Umbuchung",
        "Guten Tag, hier die Daten:\n\nVon: Berlin\nAn: Paris\nDatum: 03.03.2025 10:00\nBetreff: Umbuchung\n\nBitte auf Montag umbuchen.",
        ("Berlin", "umbuchen"),
    ),
    Kept(
        "booking form as a reply",
        "Re: Booking",
        "Hello, these are the details:\n\nFrom: Berlin\nTo: Paris\nDate: 3 March 10:00\nSubject: change\nPlease rebook me to Monday.",
        ("rebook me",),
    ),
    Kept(
        "chat transcript, quoted",
        "Chat transcript",
        "Transcript of your chat with us:\n\nOn 3 March 2025 10:11 Agent wrote:\n> Hello, how can I help?\n\nOn 3 March 2025 10:12 Pat wrote:\n> I want my money back",
        ("money back",),
    ),
    Kept(
        "chat transcript, as a reply",
        "Re: Chat",
        "Transcript of your chat with us:\n\nOn 3 March 2025 10:11 Agent wrote:\nHello, how can I help?\n\nOn 3 March 2025 10:12 Pat wrote:\nI want my money back",
        ("money back",),
    ),
    Kept(
        "chat transcript de",
        "Chatprotokoll",
        "Ihr Chat von heute:\n\nAm 03.03.2025 um 10:11 schrieb Agent:\nWie kann ich helfen?\n\nAm 03.03.2025 um 10:12 schrieb Pat:\nIch will mein Geld zurück",
        ("Geld zurück",),
    ),
    Kept(
        "own mail pasted de",
        "Zweiter Versuch",
        "Keine Antwort bekommen, daher noch einmal:\n\nAm 03.03.2025 um 10:11 schrieb Pat Doe <pat@home.example>:\n\nIch will mein Geld für Bestellung 77 zurück.",
        ("Bestellung 77",),
    ),
    Kept(
        "mail from you? de",
        "Ist das von Ihnen?",
        "Ich habe diese Mail bekommen, ist sie echt?\n\n-----Ursprüngliche Nachricht-----\nVon: Shop <x@evil.example>\nGesendet: Montag, 3. März 2025 10:11\nAn: pat@home.example\nBetreff: Ihr Konto ist gesperrt\n\nKlicken Sie hier, um Ihr Konto zu entsperren",
        ("zu entsperren",),
    ),
    Kept(
        "mail from you? quoted",
        "Phishing?",
        "I received the mail below, is it yours?\n\n> From: Shop <x@evil.example>\n> Date: 3 March 2025 10:11\n> To: pat@home.example\n> Subject: Your account is locked\n>\n> Click here to unlock your account",
        ("is it yours", "unlock your account"),
    ),
    Kept(
        "menu path under Re, de",
        "Re: Menü",
        "Ich habe das getan:\n> Einstellungen\n> Rechnungen\nund nichts passiert",
        ("Rechnungen", "nichts passiert"),
    ),
    Kept(
        "menu path below a quote",
        "Re: Menu",
        "On Wed, 14 Nov 2018 at 08:14, Shop <support@shop.example> wrote:\n> Where did you click?\n\nHere:\n> Settings\n> Billing\n> Invoices\nand nothing happens",
        ("Billing", "nothing happens"),
        ("Where did",),
    ),
    Kept("error output under Re", "Re: Absturz", "Es kommt\n\n> make install\n> Fehler 42\n\nwas nun", ("Fehler 42",)),
    Kept(
        "log with times",
        "Re: Log",
        "See what the log says of the crash:\n2025-03-03 10:11:05 worker wrote:\nERROR 42\n2025-03-03 10:11:06 worker wrote:\nERROR 43",
        ("ERROR 42", "ERROR 43"),
    ),
    Kept(
        "a promise quoted",
        "Complaint",
        "Your agent promised:\n\nOn 3 March 2025 at 10:11, Shop <help@shop.example> wrote:\n> You will get a refund of 50 EUR.\n\nNothing came.",
        ("refund of 50 EUR", "Nothing came"),
    ),
    Kept(
        "contact form without a subject",
        "",
        "Enquiry of 3 March from the website\n\nFrom: Pat <pat@home.example>\nDate: 2025-03-03 10:11\nSubject: Refund\n\nI want my money back",
        ("money back",),
    ),
)

REPLIES = (
    Kept(
        "reply de",
        "AW: Bestellung 77",
        "Ja, bitte noch einmal senden.\n\nAm 14.11.2018 um 08:14 schrieb Shop <support@shop.example>:\n> Sollen wir es noch einmal senden?\n> Gruß",
        ("noch einmal senden.",),
        ("Sollen wir",),
    ),
    Kept(
        "attribution without a colon, fr",
        "Re: Commande",
        "Je veux être remboursé, merci bien.\n\nLe mer. 14 nov. 2018 à 08:14, Shop <support@shop.example> a écrit\n\nQuand êtes-vous disponible ?",
        ("remboursé",),
        ("disponible",),
    ),
    Kept(
        "outlook reply",
        "RE: Order",
        "I want my money back, and soon.\n\nFrom: Shop\nSent: Wednesday, 14 November 2018 08:14\nTo: Pat\nSubject: Order\n\nWhen are you available?",
        ("money back",),
        ("available",),
    ),
    Kept(
        "answers inside an outlook reply",
        "RE: Order",
        "Please find my answers below in red.\n\nFrom: Shop\nSent: Wednesday, 14 November 2018 08:14\nTo: Pat\nSubject: Order\n\nWhich order?\nOrder 77, I want my money back",
        ("money back",),
    ),
    Kept(
        "answer below an unquoted mail",
        "Re: Order",
        "Hello,\n\nOn Wed, 14 Nov 2018 at 08:14, Shop <support@shop.example> wrote:\n\nWhich order?\n\nOrder 77, I want my money back",
        ("money back",),
    ),
    Kept(
        "spark HTML",
        "Re: Order",
        '<div name="messageBodySection">I want my money back.</div><div name="messageReplySection">On 14 Nov 2018, 08:14 +0100, Shop &lt;support@shop.example&gt;, wrote:<br><blockquote type="cite" class="spark_quote">When are you available?</blockquote></div>',
        ("money back",),
        ("available", "Shop"),
        html=True,
    ),
    Kept(
        "gmx HTML",
        "AW: Order",
        '<div>I want my money back</div><div name="quote" style="border-left:2px solid"><div><b>Gesendet:</b>&nbsp;Montag, 03. März 2025 um 09:01 Uhr<br/><b>Von:</b>&nbsp;Shop &lt;support@shop.example&gt;<br/><b>An:</b>&nbsp;pat@home.example<br/><b>Betreff:</b>&nbsp;Order</div><div name="quoted-content">Which order?</div></div>',
        ("money back",),
        ("Which order", "support@shop"),
        html=True,
    ),
    Kept(
        "gmail HTML, answer below",
        "Re: Order",
        '<div class="gmail_quote"><div class="gmail_attr">On Wed, 14 Nov 2018 at 08:14, Shop wrote:<br></div><blockquote class="gmail_quote">Which order?</blockquote><div>Order 77, I want my money back</div></div>',
        ("money back",),
        ("Which order",),
        html=True,
    ),
    Kept(
        "re-wrapped tail",
        "Re: Order",
        "Order 77, I want my money back.\n\nOn Wed, 14 Nov 2018 at 08:14, Shop <support@shop.example> wrote:\n> We have received your message about an order and would like to know which\none\n> it is.",
        ("money back",),
        ("would like to know", "it is."),
    ),
    Kept(
        "layout blockquote",
        "Re: Question",
        "<p>The page says:</p><blockquote>Payment declined</blockquote><p>Why?</p>",
        ("Payment declined", "Why?"),
        html=True,
    ),
    Kept(
        "answers inside quotes",
        "Re: Order",
        "Hi, see my answers below, in red.\n\nOn Wed, 14 Nov 2018 at 08:14, Shop <support@shop.example> wrote:\n> Which order?\n> Order 77, I want my money back",
        ("answers below", "money back"),
    ),
    Kept(
        "answers inside a quote, HTML",
        "AW: Bestellung",
        '<p>Meine Antworten unten in rot:</p><blockquote type="cite">Welche Bestellung? <font color="red">Nummer 77, ich will mein Geld zurück</font></blockquote>',
        ("Geld zurück",),
        html=True,
    ),
)

OWN_WORDS = (
    Kept("said before", "Re: Order", "As I said on 3 March 2025 at 10:11:\n\n> refund 5512\n\nStill waiting.", ("refund 5512", "Still")),
    Kept("wrote before", "Re: Order", "On 3 March 2025 at 10:10 I wrote:\n> refund 5512\n\nStill waiting.", ("refund 5512",)),
    Kept("wrote before, Swedish", "Re: Order", "Den 3 mars 2025 kl 10:11 skrev jag:\n> paket 5512\n\nInget svar.", ("paket 5512",)),
    Kept("wrote before, Italian", "Re: Ordine", "Il 3 marzo ho scritto:\n> rimborso 5512\nNessuna risposta.", ("rimborso 5512",)),
    Kept("an agent's promise, French", "Colis", "Le 3 mars 2025 à 10:11 votre conseiller a écrit :\n> remboursé sous 5 jours\nRien reçu.", ("5 jours",)),
    Kept("a Monday", "Re: Order", "On Mon 3 Mar 2025 at 10:11, Shop wrote:\n> Which order?\n5512", ("5512",), ("Which order",)),
    Kept("times that are no mail's", "Re: Order", "Hi,\n\nNote:\nFrom: Monday 3 March 2025 10:00\nTo: Friday 7 March 2025 18:00\nSubject: absence\nSent: by post\n\nPlease move 5512.", ("move 5512",)),
)  # fmt: skip

MARKUP = (
    Kept("font-size 0, a newsletter's wrapper", "Question", '<div style="font-size:0"><table><tr><td style="font-size:16px">I want my money back</td></tr></table></div>', ("money back",), html=True),
    Kept("an open title", "Question", "<html><head><title>Mail<body><p>I want my money back</p>", ("money back",), html=True),
    Kept("an empty comment", "Question", "<!--><p>I want my money back</p><!-- b -->", ("money back",), html=True),
    Kept("two comments closed oddly", "Question", "<!-- a --!><p>I want</p><!-- b --!><p>my money back</p>", ("I want", "my money back"), html=True),
    Kept("a conditional that never ends", "Question", "<p>I want</p><!--[if mso]><p>my money back</p>", ("I want", "my money back"), html=True),
)  # fmt: skip

SAMPLES = (*FORWARDS, *BOILERPLATE, *SIGNATURES, *FORMS, *REPLIES, *OWN_WORDS, *MARKUP)
