"""The words that mail clients write around quoted messages, one row per language.

Sources are the clients' own user interfaces (Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, Lotus, GMX, QQ). All
entries are lower case, as `str.casefold` and NFKC leave them. To teach a language, add a row; nothing else changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The meaning of a header line of a quoted message."""

    FROM = "from"
    SENT = "sent"
    TO = "to"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class MailWords:
    """Alternatives are separated by `|`."""

    wrote: str = ""
    """Ends an attribution: "On Monday, Ann wrote:"."""
    opener: str = ""
    """First word of an attribution that names the date first."""
    sender: str = ""
    sent: str = ""
    to: str = ""
    subject: str = ""
    original: str = ""
    """Between dashes above the message being answered."""
    forwarded: str = ""
    """Between dashes, or a line of its own, above a forwarded message."""


# fmt: off
LANGUAGES: dict[str, MailWords] = {
    "en": MailWords("wrote|writes|wrote the following|said", "on|at", "from",
        "sent|date|sent on|sent at", "to|cc|bcc|reply-to", "subject", "original message|original email|reply message",
        "forwarded message|begin forwarded message|forwarded email|forwarded by|start of forwarded message"),
    "de": MailWords("geschrieben|schrieb|schreibt|folgendes geschrieben|schrieb folgendes",
        "am|on", "von|absender", "gesendet|datum|gesendet am|verschickt", "an|kopie|cc|antwort an", "betreff",
        "ursprüngliche nachricht|originalnachricht|original nachricht|original-nachricht|urspr. nachricht"
        "|ursprüngliche mail|ursprüngliche e-mail",
        "weitergeleitete nachricht|anfang der weitergeleiteten|weitergeleitete e-mail|weitergeleitet von"),
    "fr": MailWords("a écrit|a ecrit|écrit|écrivait", "le", "de|expéditeur",
        "envoyé|date|envoyé le|date d'envoi", "à|a|pour|cc|copie à|répondre à", "objet|sujet",
        "message d'origine|message d’origine|message original|message initial|mail original|e-mail d'origine",
        "message transféré|début du message transféré|début du message réexpédié|message réexpédié|mail transféré"
        "|transféré par"),
    "es": MailWords("escribió|escribio|ha escrito|escribe", "el", "de|remitente",
        "enviado|fecha|enviado el|enviada", "para|a|cc|responder a", "asunto", "mensaje original|correo original",
        "mensaje reenviado|inicio del mensaje reenviado|reenviado por|correo reenviado"),
    "pt": MailWords("escreveu|escreveu o seguinte", "em|no|a|on", "de|remetente",
        "enviado|data|enviada em|enviado em|enviada|enviado a", "para|cc|responder a", "assunto",
        "mensagem original|mensagem de origem",
        "mensagem encaminhada|início da mensagem encaminhada|mensagem reencaminhada|início da mensagem reencaminhada"
        "|encaminhado por"),
    "it": MailWords("ha scritto|scrive|scritto", "il|in|nel|on", "da|mittente", "inviato|data|inviato il|inviata",
        "a|per|cc|risposta|rispondi a", "oggetto", "messaggio originale|messaggio di origine",
        "messaggio inoltrato|inizio messaggio inoltrato|inizio del messaggio inoltrato|inoltrato da"),
    "nl": MailWords("schreef|geschreven|schreef het volgende|schrijft", "op", "van|afzender",
        "verzonden|datum|verzonden op|verstuurd", "aan|cc|kopie", "onderwerp",
        "oorspronkelijk bericht|origineel bericht|oorspronkelijke bericht|oorspronkelijke e-mail",
        "doorgestuurd bericht|begin doorgestuurd bericht|begin van doorgestuurd bericht|doorgestuurde e-mail"
        "|doorgestuurd door"),
    "da": MailWords("skrev|skriver|skrev følgende", "den|d.", "fra", "sendt|dato|sendt den", "til|cc|kopi",
        "emne", "oprindelig meddelelse|oprindelig besked|original besked|original meddelelse|oprindelig mail",
        "videresendt besked|videresendt meddelelse|start på videresendt|videresendt mail|videresendt af"),
    "nb": MailWords("skrev|skrev følgende", "den|på", "fra", "sendt|dato", "til|kopi", "emne",
        "opprinnelig melding|original melding|opprinnelig e-post|opprinneleg melding",
        "videresendt melding|videresendt e-post|start på videresendt|begynnelse på videresendt"),
    "sv": MailWords("skrev|skrev följande|skriver", "den", "från|avsändare",
        "skickat|datum|skickat den|skickades",
        "till|kopia", "ämne", "ursprungligt meddelande|originalmeddelande|ursprungligt mail|originalmeddelandet",
        "vidarebefordrat meddelande|vidarebefordrat brev|början på vidarebefordrat|vidarebefordrat mail"),
    "is": MailWords("skrifaði", "þann", "frá", "sent|dags|dagsetning", "til", "efni",
        "upprunaleg skilaboð", "áframsend skilaboð"),
    "fi": MailWords("kirjoitti|kirjoittaa|kirjoitti seuraavasti", "", "lähettäjä",
        "lähetetty|päivämäärä|pvm|päiväys", "vastaanottaja|kopio|vastaanottajat", "aihe",
        "alkuperäinen viesti|alkuperäinen sähköposti",
        "välitetty viesti|edelleenlähetetty viesti|edelleen lähetetty|välitetty viesti alkaa"),
    "et": MailWords("kirjutas", "", "saatja|kellelt", "saadetud|kuupäev|saatmisaeg",
        "adressaat|kellele|saaja|koopia", "teema", "originaalteade|algne kiri|algne sõnum",
        "edastatud kiri|edastatud sõnum"),
    "lv": MailWords("rakstīja", "", "sūtītājs", "nosūtīts|datums", "kam|kopija|adresāts", "temats|tēma",
        "sākotnējais ziņojums|oriģinālais ziņojums", "pārsūtītā ziņa|pārsūtīts ziņojums"),
    "lt": MailWords("rašė|parašė", "", "nuo|siuntėjas", "išsiųsta|data", "kam|gavėjas|kopija", "tema",
        "pradinis laiškas|originalus pranešimas|pirminis laiškas", "persiųstas laiškas|persiųsta žinutė"),
    "pl": MailWords("napisał|napisała|napisał(a)|napisał/a|napisali|pisze|pisał", "w|dnia|dn.", "od|nadawca",
        "wysłano|data|wysłane|wysłany|wysłana", "do|dw|adresat|odbiorca", "temat",
        "wiadomość oryginalna|oryginalna wiadomość|wiadomość pierwotna|original message",
        "wiadomość przekazana|przekazana wiadomość|początek przekazywanej|treść przekazanej|przesłana wiadomość"),
    "cs": MailWords("napsal|napsala|napsal(a)|napsal/a|píše", "dne", "od|odesílatel",
        "odesláno|datum|odesláno dne",
        "komu|kopie|pro", "předmět|věc", "původní zpráva|původní e-mail|originální zpráva",
        "přeposlaná zpráva|začátek přeposlané|začátek přeposílané|předaná zpráva|přeposlaný"),
    "sk": MailWords("napísal|napísala|napísal(a)|napísal/a|píše", "dňa", "od|odosielateľ",
        "odoslané|dátum|odoslané dňa|poslané", "komu|kópia|pre", "predmet|vec", "pôvodná správa|originálna správa",
        "preposlaná správa|začiatok preposlanej|postúpená správa"),
    "hu": MailWords("írta|ezt írta|a következőt írta|a következőket írta|írja", "", "feladó|küldő",
        "dátum|küldve|elküldve|küldés dátuma", "címzett|másolat|másolatot kap", "tárgy",
        "eredeti üzenet|eredeti levél", "továbbított üzenet|továbbított levél|továbbított üzenet kezdete"),
    "ro": MailWords("a scris|a scris următoarele", "pe|în|la|in", "de la|din partea|expeditor|de",
        "trimis|data|dată|trimisă|data trimiterii", "către|catre|la|cc", "subiect|subiectul",
        "mesaj original|mesajul original|mesajul inițial",
        "mesaj redirecționat|mesaj redirectionat|început mesaj redirecționat|începutul mesajului redirecționat"
        "|începutul mesajului|mesaj retransmis|mesajul redirecționat"),
    "hr": MailWords("napisao|napisala|je napisao/la|napisao/la|napisao je|napisala je|piše|napisao(la)", "dana",
        "od|šalje|pošiljatelj|pošiljalac", "poslano|datum|poslato|vrijeme", "za|prima|kome|primatelj|kopija",
        "predmet|naslov|tema", "izvorna poruka|originalna poruka|izvorna e-pošta",
        "proslijeđena poruka|početak proslijeđene|početak prosleđene|prosleđena poruka|započni proslijeđenu"),
    "sl": MailWords("napisal|napisala|napisal/a|je napisal|piše", "v|dne", "od|pošiljatelj", "poslano|datum",
        "za|kp|prejemnik", "zadeva", "izvirno sporočilo|prvotno sporočilo",
        "posredovano sporočilo|začetek posredovanega"),
    "sr": MailWords("написао|написала|је написао/ла|пише", "дана", "од|шаље", "послато|датум", "за|коме|прима",
        "предмет|наслов|тема", "изворна порука|оригинална порука", "прослеђена порука"),
    "sq": MailWords("shkroi", "më", "nga", "dërguar|data", "për|deri", "subjekti|tema", "mesazhi origjinal",
        "mesazh i përcjellë"),
    "el": MailWords("έγραψε|έγραψεσ|έγραψαν|έγραφε", "στισ|την|στις|στο", "από|αποστολέασ",
        "στάλθηκε|ημερομηνία|ημ/νία|αποστολή|εστάλη", "προσ|κοιν|κοινοποίηση|κοιν.", "θέμα",
        "αρχικό μήνυμα|πρωτότυπο μήνυμα", "προωθημένο μήνυμα|έναρξη προωθημένου|αρχή προωθημένου|προωθούμενο μήνυμα"),
    "ru": MailWords("написал|написала|написал(а)|пишет|писал|писала|написали|пишет следующее", "",
        "от|от кого|отправитель",
        "отправлено|дата|послано|отправлен|дата отправки", "кому|копия|получатель", "тема",
        "исходное сообщение|оригинальное сообщение|исходное письмо|первоначальное сообщение",
        "пересланное сообщение|пересылаемое сообщение|начало переадресованного|начало пересылаемого"
        "|начало пересылаемого сообщения|перенаправленное"),
    "uk": MailWords("написав|написала|написав(ла)|написав(-ла)|пише|писав|писала", "", "від|від кого|відправник",
        "надіслано|дата|відправлено|надісланий", "кому|копія|до|одержувач", "тема",
        "вихідне повідомлення|оригінальне повідомлення|початкове повідомлення|початковий лист|оригінальний лист",
        "переслане повідомлення|пересланий лист|початок пересланого|початок листа, що пересилається"
        "|початок повідомлення, що пересилається|перенаправлене повідомлення"),
    "bg": MailWords("написа|написала|пише", "на", "от|подател", "изпратено|дата|изпратен", "до|копие|получател",
        "относно|тема", "оригинално съобщение|оригинално писмо|първоначално съобщение",
        "препратено съобщение|препратено писмо|начало на препратеното"),
    "tr": MailWords("yazdı|şunu yazdı|şunları yazdı|yazmış", "", "kimden|gönderen",
        "gönderildi|tarih|gönderme tarihi|gönderilme tarihi|gönderim tarihi", "kime|alıcı|bilgi|kopya", "konu",
        "orijinal mesaj|özgün ileti|orjinal mesaj|orijinal ileti|özgün mesaj|ilk mesaj",
        "iletilen mesaj|yönlendirilmiş mesaj|iletilmiş mesaj|yönlendirilen ileti|i̇letilen ileti"
        "|yönlendirilen mesaj|yönlendirilen iletinin başlangıcı|iletilen iletinin başlangıcı"
        "|iletilen ileti başlangıcı"),
    "he": MailWords("כתב|כתבה|כתב/ה|כתב(ה)|כתבו", "", "מאת|מ", "נשלח|תאריך|נשלח ב", "אל|עותק|לכבוד", "נושא|הנדון",
        "הודעה מקורית|ההודעה המקורית", "הודעה שהועברה|הודעה מועברת|תחילת ההודעה שהועברה"),
    "ar": MailWords("كتب|كتبت|كتب/ت", "في|بتاريخ", "من|المرسل",
        "تم الإرسال|التاريخ|تاريخ|أرسلت|تاريخ الإرسال|مرسل",
        "إلى|نسخة|المرسل إليه", "الموضوع|موضوع", "الرسالة الأصلية|رسالة أصلية",
        "رسالة معاد توجيهها|الرسالة المعاد توجيهها|رسالة محولة|بداية الرسالة"),
    "fa": MailWords("نوشت|نوشته است|نوشته", "در", "از|فرستنده", "تاریخ|ارسال شده", "به|گیرنده", "موضوع",
        "پیام اصلی", "پیام هدایت شده|پیام فوروارد شده"),
    "hi": MailWords("ने लिखा|लिखा", "", "प्रेषक|से", "भेजा गया|दिनांक|तारीख", "प्रति|को", "विषय", "मूल संदेश",
        "अग्रेषित संदेश"),
    "th": MailWords("เขียน|เขียนว่า", "ในวันที่|เมื่อ", "จาก", "ส่ง|วันที่|ส่งเมื่อ", "ถึง|สําเนา|สำเนา",
        "เรื่อง|หัวเรื่อง|หัวข้อ",
        "ข้อความต้นฉบับ|ข้อความเดิม", "ข้อความที่ส่งต่อ|เริ่มต้นข้อความที่ส่งต่อ"),
    "vi": MailWords("đã viết|viết|đã viết như sau", "vào|ngày|lúc", "từ|người gửi", "đã gửi|ngày|gửi|ngày gửi",
        "đến|tới|người nhận|đồng gửi|kính gửi", "chủ đề|tiêu đề", "thư gốc|tin nhắn gốc|tin nhắn ban đầu|thư ban đầu",
        "thư được chuyển tiếp|bắt đầu thư được chuyển tiếp|bắt đầu thư đã chuyển tiếp|tin nhắn chuyển tiếp"
        "|thư đã chuyển tiếp|thư chuyển tiếp"),
    "id": MailWords("menulis|menulis sebagai berikut|telah menulis|menulis pesan", "pada", "dari|pengirim",
        "dikirim|tanggal|terkirim|dihantar|tarikh", "kepada|ke|untuk|penerima", "perihal|subjek|judul|hal|subyek",
        "pesan asli|pesan asal|mesej asal", "pesan terusan|mulai meneruskan pesan|mulai pesan terusan"
        "|awal pesan yang diteruskan|pesan yang diteruskan|pesan diteruskan|mesej dimajukan"),
    "ca": MailWords("va escriure|ha escrit|escrigué|escriví", "el|dia", "de|remitent",
        "enviat|data|data d'enviament",
        "per a|a|per|destinatari", "assumpte|tema", "missatge original",
        "missatge reenviat|inici del missatge reenviat"),
    "eu": MailWords("idatzi du|idatzi zuen|hau idatzi du", "", "nork|igorlea", "bidalia|data", "nori|hartzailea",
        "gaia",
        "jatorrizko mezua", "birbidalitako mezua"),
    "gl": MailWords("escribiu", "o", "de", "enviado|data", "para", "asunto", "mensaxe orixinal",
        "mensaxe reenviada"),
    "af": MailWords("geskryf|het geskryf", "op", "van", "gestuur|datum", "aan", "onderwerp",
        "oorspronklike boodskap",
        "aangestuurde boodskap"),
    "zh": MailWords("写道|寫道|写到|来信|撰写|寫到|的邮件|来信说|写入", "在|于|於",
        "发件人|寄件者|寄件人|發件人|发信人",
        "发送时间|日期|寄件日期|发送日期|傳送時間|寄件時間|时间|發送時間|发件时间|已发送|傳送日期|發送日期|时 间|日 期",
        "收件人|收件者|抄送|副本|抄 送|抄送人", "主题|主旨|主題|标题|主 题",
        "原始邮件|原始郵件|原邮件|原始信件|原始邮件信息|原件|回复的原邮件",
        "转发邮件|轉寄郵件|以下是转发的邮件|下面是被转发的邮件|以下是轉寄的信件|以下是轉寄的郵件|以下为转发的邮件|转发的邮件|轉寄的郵件|开始转发|已转发的邮件|轉寄者|已轉寄的郵件|開始轉寄|转发邮件信息"
        "|轉寄信件|转发的消息"),
    "ja": MailWords("書きました|のメール|は書きました|からのメール|のメッセージ|が書きました", "",
        "差出人|送信者|発信者|送信元",
        "送信日時|日時|日付|送信日|送信済み", "宛先|宛て先|受信者|to", "件名|題名",
        "元のメッセージ|元のメール|オリジナルメッセージ|オリジナル メッセージ|元のメッセージを表示|返信元",
        "転送されたメッセージ|転送メッセージ|転送されたメール|転送メール|転送元|転送"),
    "ko": MailWords("작성|님이 작성|썼습니다|쓴 글|작성함|님이 작성했습니다|작성했습니다|님의 말", "",
        "보낸 사람|보낸사람|발신|보낸이|발신자",
        "보낸 날짜|날짜|보낸날짜|보낸 시간|보낸시간|발신일|일시", "받는 사람|받는사람|참조|받는이|수신|수신자",
        "제목",
        "원본 메시지|원본 메일|원본메시지|원본메일|원본 이메일",
        "전달된 메시지|전달된 메일|전달 메시지|전달된 이메일"),
}
# fmt: on


def _words(column: str) -> frozenset[str]:
    alternatives = (getattr(row, column).split("|") for row in LANGUAGES.values())
    return frozenset(word.casefold() for words in alternatives for word in words if word)


def _longest_first(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(words, key=len, reverse=True))


WROTE = _longest_first(_words("wrote"))
OPENERS = _words("opener")
ORIGINAL = _longest_first(_words("original"))
FORWARDED = _longest_first(_words("forwarded"))
# Forms have a "Date:" as well; only mail programs write "Sent:".
DATE_LABELS = frozenset([
    "date", "datum", "fecha", "data", "dato", "dátum", "päivämäärä", "pvm", "päiväys", "дата", "датум", "ημερομηνία",
    "ημ/νία", "tarih", "日期", "时间", "日 期", "时 间", "日付", "日時", "날짜", "일시", "dags", "dagsetning",
    "kuupäev", "datums", "dată", "التاريخ", "تاريخ", "תאריך", "दिनांक", "तारीख", "วันที่", "ngày", "tanggal", "tarikh",
    "vrijeme",
])  # fmt: skip
LABELS: dict[str, Role] = {
    word: role
    for role, column in ((Role.TO, "to"), (Role.SENT, "sent"), (Role.SUBJECT, "subject"), (Role.FROM, "sender"))
    for word in sorted(_words(column))
}
