"""Phrases of signatures, disclaimers, list footers and gateway banners, as data for `signatures`.

All lower case, as `str.casefold` leaves them. Several languages per table: a phrase is only ever one hint among two.
"""

DEVICES = (
    " my ", " mon ", " meinem ", " mijn ", " mio ", " meu ", " minha ", " min ", " mi ", " moj", " mojeho ",
    "iphone", "ipad", "ipod", "android", "samsung", "galaxy", "blackberry", "windows", "outlook", "nokia", "huawei",
    "xiaomi", "redmi", "sony", "xperia", "htc", "motorola", "oneplus", "pixel", "smartphone", "yahoo", "gmail",
    "mail.ru", "proton", "gmx", "web.de", "icloud", "aol", "hotmail", "thunderbird", "mobile", "mobil", "handy",
    "telefon", "téléphone", "teléfono", "telefono", "telefoon", "phone", "tablet", "bluemail", "k-9", "k9", "spark",
    "mailbox", "airmail", "zoho", "fairemail", "aqua mail", "nine", "mymail", "яндекс", "смартфон",
    "мобил", "телефон", "手机", "邮箱", "携帯", "스마트폰", "puhelimesta", "puhelin", "telefonu", "cihaz", "κινητό",
    "gerät", "apparaat", "device", "appareil", "dispositivo", "célular", "celular", "telemóvel", "cellulare",
    "orange",
    "t-mobile", "vodafone", "verizon", "at&t", "wi-fi", "my computer", "mac", "surface", "ipod touch", "naver", "qq",
)  # fmt: skip

CLOSINGS = (
    "regards", "best regards", "kind regards", "warm regards", "with regards", "best wishes", "all the best",
    "sincerely", "yours", "thanks", "thank you", "many thanks", "cheers", "respectfully", "best", "cordially",
    "mit freundlichen", "freundliche grüsse", "viele grüsse", "beste grüsse", "schöne grüsse", "liebe grüsse",
    "mit besten grüssen", "mit lieben", "gruss", "grüsse", "hochachtungsvoll", "mfg", "vg", "lg", "danke",
    "vielen dank",
    "cordialement", "bien à vous", "bien cordialement", "salutations", "meilleures salutations", "merci", "sincères",
    "saludos", "un saludo", "atentamente", "cordialmente", "gracias", "muchas gracias", "un cordial saludo",
    "atenciosamente", "cumprimentos", "com os melhores", "melhores cumprimentos", "obrigado", "obrigada", "att",
    "cordiali saluti", "distinti saluti", "saluti", "grazie", "un saluto", "met vriendelijke", "vriendelijke groet",
    "groeten", "groet", "hartelijke groet", "mvg", "bedankt", "med venlig hilsen", "venlig hilsen", "mvh", "hilsen",
    "med vennlig hilsen", "vennlig hilsen", "med vänliga", "vänliga hälsningar", "hälsningar", "vänligen", "tack",
    "ystävällisin", "terveisin", "kiitos", "parhain", "pozdrawiam", "z poważaniem", "pozdrowienia", "dziękuję",
    "s pozdravem", "s pozdravom", "děkuji", "ďakujem", "hezký den", "üdvözlettel", "tisztelettel", "köszönettel",
    "cu stimă", "cu respect", "mulțumesc", "o zi bună", "с уважением", "спасибо", "з повагою", "дякую", "поздрави",
    "με εκτίμηση", "ευχαριστώ", "saygılarımla", "iyi çalışmalar", "teşekkürler", "lijep pozdrav", "srdačan pozdrav",
    "lep pozdrav", "s poštovanjem", "pozdrav", "trân trọng", "hormat kami", "salam", "terima kasih", "此致", "祝好",
    "顺祝商祺", "谢谢", "敬具", "よろしくお願い", "감사합니다", "드림", "בברכה", "תודה", "مع التحية", "تحياتي",
    "شكرا",
)  # fmt: skip

DISCLAIMER_STARTS = (
    "confidentiality notice", "confidentiality", "disclaimer", "legal notice", "privileged and confidential",
    "this e-mail", "this email", "this message", "the information contained in this", "the information in this",
    "the contents of this", "the content of this", "notice: this", "important: this", "important notice",
    "diese e-mail", "diese email", "diese nachricht", "der inhalt dieser", "vertraulichkeitshinweis",
    "haftungsausschluss",
    "die informationen in dieser", "die in dieser e-mail", "ce message", "cet e-mail", "ce courriel", "ce mail",
    "ce courrier", "avis de confidentialité", "les informations contenues", "este mensaje", "este correo",
    "aviso legal",
    "la información contenida", "aviso de confidencialidad", "esta mensagem", "este e-mail", "este email",
    "aviso de confidencialidade", "questo messaggio", "questa e-mail", "questa mail", "le informazioni contenute",
    "avviso di riservatezza", "il presente messaggio", "ai sensi", "dit bericht", "deze e-mail", "dit e-mailbericht",
    "de informatie in", "denne e-mail", "denne mail", "denne e-posten", "detta meddelande", "detta e-post",
    "det här meddelandet", "tämä viesti", "tämä sähköposti", "ta wiadomość", "niniejsza wiadomość",
    "treść tej wiadomości",
    "tato zpráva", "tento e-mail", "táto správa", "ez az üzenet", "ez az e-mail", "acest mesaj", "acest e-mail",
    "это сообщение", "данное сообщение", "настоящее сообщение", "это письмо", "це повідомлення", "bu e-posta",
    "bu mesaj",
    "bu ileti", "το παρόν", "αυτό το μήνυμα", "ova poruka", "to sporočilo", "本邮件", "此邮件", "本メール",
    "このメール",
    "이 메일", "本電子郵件", "email này", "pesan ini",
)  # fmt: skip

DISCLAIMER_PHRASES = (
    "confidential", "privileged", "intended recipient", "intended solely", "intended only", "addressee",
    "received this in error", "received this e-mail in error", "received this email in error", "by mistake",
    "received this message in error", "unauthorized", "unauthorised", "strictly prohibited", "notify the sender",
    "delete this", "delete it", "dissemination", "disclosure", "virus", "liability", "vertraulich", "adressat",
    "empfänger", "irrtümlich", "unbefugt", "absender", "vernichten", "nicht gestattet", "rechtlich geschützt",
    "confidentiel", "destinataire", "par erreur", "strictement", "détruire", "expéditeur", "divulgation",
    "confidencial",
    "destinatario", "por error", "prohibid", "remitente", "divulgación", "destinatário", "por engano", "proibid",
    "remetente", "riservat", "per errore", "vietat", "mittente", "confidenzial", "vertrouwelijk", "geadresseerde",
    "bestemd voor", "onterecht", "afzender", "per abuis", "fortrolig", "modtager", "ved en fejl", "afsender",
    "konfidentiell",
    "mottagare", "av misstag", "avsändare", "luottamuksell", "vastaanottaja", "erehdyksessä", "poufn", "adresat",
    "zabronion", "nadawc", "omyłk", "důvěrn", "omylem", "odesílatel", "dôvern", "bizalmas", "címzett", "tévedés",
    "confidențial",
    "destinatarul", "din greșeală", "конфиденциал", "адресат", "получател", "по ошибке", "отправител", "конфіденцій",
    "помилк", "gizli", "alıcı", "yanlışlıkla", "gönderen", "εμπιστευτικ", "παραλήπτ", "αποστολέα", "保密", "机密",
    "收件人", "機密", "誤って", "削除", "기밀", "수신인", "povjerljiv", "poverljiv", "zaupn", "bảo mật", "rahasia",
)  # fmt: skip

FOOTER_PHRASES = (
    "consider the environment before printing", "think before you print", "please consider the environment",
    "bevor sie diese e-mail ausdrucken", "denken sie an die umwelt", "pensez à l'environnement",
    "avant d'imprimer", "antes de imprimir", "prima di stampare", "voordat u deze e-mail print",
    "denk aan het milieu",
    "virus-free. www.avast", "virus-free.www.avast", "virenfrei.", "checked for viruses", "scanned for viruses",
    "avast antivirus", "this email has been scanned", "this message has been scanned", "libre de virus", "sans virus",
    "you received this message because you", "you are receiving this because you", "you're receiving this",
    "to unsubscribe from this", "to unsubscribe, ", "to unsubscribe send", "unsubscribe from this group",
    "mailing list\n", "/mailman/listinfo", "reply to this email directly or", "view it on github",
    "view it on gitlab",
    "manage your subscription", "update your email preferences", "abmelden von dieser", "se désabonner",
    "darse de baja de", "cancelar a inscrição", "annulla l'iscrizione", "uitschrijven van",
)  # fmt: skip

BANNERS = (
    "originated from outside", "originated outside", "external email", "external e-mail", "external sender",
    "this email is from an external", "message from outside", "sent from outside", "came from outside",
    "do not click links or open attachments", "do not click on links", "you don't often get email from",
    "externe e-mail", "externer absender", "externen absender", "von außerhalb", "expéditeur externe",
    "provient de l'extérieur", "remitente externo", "correo externo", "mittente esterno", "afzender van buiten",
    "extern afzender", "externe afzender", "learn why this is important", "sie erhalten nicht oft e-mails von",
    "nadawca zewnętrzny", "extern avsändare", "ekstern afsender",
)  # fmt: skip

REPLY_ABOVE = (
    "##- please type your reply above", "## please type your reply above", "##- bitte geben sie ihre antwort",
    "--- reply above this line", "-- reply above this line", "reply above this line", "please reply above this line",
    "--- please reply above", "please type your reply above this line", "## reply above this line",
    "##- veuillez entrer votre réponse", "veuillez répondre au-dessus de cette ligne",
    "répondre au-dessus de cette ligne",
    "##- por favor, escriba su respuesta", "responda por encima de esta línea", "##- digite sua resposta acima",
    "##- inserire la risposta sopra", "rispondi sopra questa riga", "##- typ uw antwoord boven",
    "##- skriv dit svar over",
    "bitte oberhalb dieser linie antworten", "bitte antworten sie oberhalb dieser", "antworten sie oberhalb dieser",
    "schreiben sie ihre antwort oberhalb", "##- wpisz swoją odpowiedź", "##- введите свой ответ",
)  # fmt: skip
