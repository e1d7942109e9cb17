# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""Hand-made replies as mail clients write them: (name, body, text that must remain). No real person's mail.

Written from knowledge of the clients, across languages, to guard against rules that fit one benchmark only.
"""

from typing import NamedTuple


class Sample(NamedTuple):
    name: str
    body: str
    expected: str


OLD = "Dear customer,\nplease send us your number.\nYour service team\n"
QUOTED = "> Dear customer,\n> please send us your number.\n>\n> Your service team\n"
A = "Service <help@shop.example>"


def _attributed(name: str, reply: str, attribution: str, *, quoted: bool = True) -> Sample:
    return Sample(name, f"{reply}\n\n{attribution}\n\n{QUOTED if quoted else OLD}", reply)


def _headed(name: str, reply: str, block: str) -> Sample:
    return Sample(name, f"{reply}\n\n{block}\n\n{OLD}", reply)


ATTRIBUTIONS = (
    _attributed("gmail_en", "My number is 4711.", f"On Tue, Mar 3, 2020 at 1:11 PM {A} wrote:"),
    _attributed(
        "gmail_en_wrapped",
        "My number is 4711.",
        "On Tue, Mar 3, 2020 at 1:11 PM Customer Service Department\n<help@shop.example> wrote:",
    ),
    _attributed(
        "gmail_de", "Meine Nummer ist 4711.", "Am Di., 3. März 2020 um 13:11 Uhr schrieb Service <\nhelp@shop.example>:"
    ),
    _attributed("gmail_fr", "Mon numéro est 4711.", f"Le mar. 3 mars 2020 à 13:11, {A} a\nécrit :"),
    _attributed("gmail_es", "Mi número es 4711.", f"El mar, 3 mar 2020 a las 13:11, {A}\nescribió:"),
    _attributed("gmail_pt", "Meu número é 4711.", f"Em ter., 3 de mar. de 2020 às 13:11, {A} escreveu:"),
    _attributed("gmail_it", "Il mio numero è 4711.", f"Il giorno mar 3 mar 2020 alle ore 13:11 {A} ha scritto:"),
    _attributed("gmail_nl", "Mijn nummer is 4711.", f"Op di 3 mrt. 2020 om 13:11 schreef {A}:"),
    _attributed("gmail_pl", "Mój numer to 4711.", f"wt., 3 mar 2020 o 13:11 {A} napisał(a):"),
    _attributed("gmail_cs", "Moje číslo je 4711.", f"út 3. 3. 2020 v 13:11 odesílatel {A} napsal:"),
    _attributed("gmail_hu", "A számom 4711.", f"{A} ezt írta (időpont: 2020.\nmárc. 3., K, 13:11):"),
    _attributed("gmail_ro", "Numărul meu este 4711.", f"În mar., 3 mar. 2020 la 13:11, {A} a scris:"),
    _attributed("gmail_da", "Mit nummer er 4711.", f"Den tir. 3. mar. 2020 kl. 13.11 skrev {A}:"),
    _attributed("gmail_sv", "Mitt nummer är 4711.", f"Den tis 3 mars 2020 kl 13:11 skrev {A}:"),
    _attributed("gmail_nb", "Nummeret mitt er 4711.", f"tir. 3. mar. 2020 kl. 13:11 skrev {A}:"),
    _attributed(
        "gmail_fi", "Numeroni on 4711.", "ti 3. maalisk. 2020 klo 13.11 Service (help@shop.example) kirjoitti:"
    ),
    _attributed("gmail_el", "Ο αριθμός μου είναι 4711.", f"Στις Τρί 3 Μαρ 2020 στις 13:11, ο χρήστης {A}\nέγραψε:"),
    _attributed("gmail_ru", "Мой номер 4711.", f"вт, 3 мар. 2020 г. в 13:11, {A}:"),
    _attributed("gmail_uk", "Мій номер 4711.", f"вт, 3 бер. 2020 р. о 13:11 {A} пише:"),
    _attributed("gmail_bg", "Номерът ми е 4711.", f"На вт, 3.03.2020 г. в 13:11 {A} написа:"),
    _attributed("gmail_tr", "Numaram 4711.", f"{A}, 3 Mar 2020 Sal, 13:11 tarihinde şunu\nyazdı:"),
    _attributed("gmail_zh", "我的号码是4711。", f"{A} 于2020年3月3日周二 下午1:11写道："),
    _attributed("apple_zh", "我的号码是4711。", f"在 2020年3月3日，13:11，{A} 写道："),
    _attributed("gmail_ja", "番号は4711です。", f"2020年3月3日(火) 13:11 {A}:"),
    _attributed("apple_ja", "番号は4711です。", f"2020/03/03 13:11、{A}のメール:"),
    _attributed("gmail_ko", "제 번호는 4711입니다.", f"2020년 3월 3일 (화) 오후 1:11, {A}님이 작성:"),
    _attributed(
        "gmail_he", "המספר שלי הוא 4711.", f"\u200fבתאריך יום ג׳, 3 במרץ 2020 ב-13:11 מאת \u202a{A}\u202c\u200f:\u200e"
    ),
    _attributed("gmail_vi", "Số của tôi là 4711.", f"Vào Th 3, 3 thg 3, 2020 vào lúc 13:11 {A} đã viết:"),
    _attributed("gmail_id", "Nomor saya 4711.", f"Pada tanggal Sel, 3 Mar 2020 pukul 13.11 {A} menulis:"),
    _attributed("unknown_language", "Mi numéro es 4711.", f"Ye 3 di mars 2020, 13:11, {A} skribis:"),
    _attributed("apple_en_unquoted", "My number is 4711.", f"On 3 Mar 2020, at 13:11, {A} wrote:", quoted=False),
    _attributed(
        "apple_pl",
        "Mój numer to 4711.",
        f"Wiadomość napisana przez {A} w dniu 03.03.2020, o godz. 13:11:",
        quoted=False,
    ),
    _attributed("ios_fi", "Numeroni on 4711.", f"{A} kirjoitti 3.3.2020 kello 13.11:", quoted=False),
    _attributed(
        "yahoo_de",
        "Meine Nummer ist 4711.",
        f"Am Dienstag, 3. März 2020, 13:11:11 MEZ hat {A} Folgendes geschrieben:",
        quoted=False,
    ),
    _attributed(
        "yahoo_en", "My number is 4711.", f"On Tuesday, March 3, 2020, 01:11:11 PM GMT+1, {A} wrote:", quoted=False
    ),
    _attributed("thunderbird_en", "My number is 4711.", "On 3/3/20 1:11 PM, Shop Service wrote:"),
    _attributed("thunderbird_de", "Meine Nummer ist 4711.", "Am 03.03.20 um 13:11 schrieb Shop Service:"),
    _attributed("thunderbird_pl", "Mój numer to 4711.", "W dniu 03.03.2020 o 13:11, Shop Service pisze:"),
    _attributed("thunderbird_cs", "Moje číslo je 4711.", "Dne 03.03.20 v 13:11 Shop Service napsal(a):"),
    _attributed("mutt", "My number is 4711.", "Shop Service writes:"),
    _attributed("zoho", "My number is 4711.", f"---- On Tue, 03 Mar 2020 13:11:11 +0100 {A} wrote ----", quoted=False),
    _attributed("yandex_ru", "Мой номер 4711.", '03.03.2020, 13:11, "Service" <help@shop.example>:'),
    _attributed("ionos_de", "Meine Nummer ist 4711.", f"{A} hat am 03.03.2020 13:11 CET geschrieben:", quoted=False),
    _attributed(
        "seznam_cs",
        "Moje číslo je 4711.",
        f"---------- Původní e-mail ----------\nOd: {A}\nKomu: ann@home.example\nDatum: 3. 3. 2020 13:11:00\nPředmět: Objednávka",
        quoted=False,
    ),
    _attributed(
        "naver_ko",
        "제 번호는 4711입니다.",
        '-----Original Message-----\nFrom: "Service"<help@shop.example>\nTo: "Ann"<ann@home.example>;\nCc:\nSent: 2020-03-03 (화) 13:11:11 (GMT+09:00)\nSubject: 주문',
        quoted=False,
    ),
    _attributed("netease_en", "My number is 4711.", 'At 2020-03-03 13:11:11, "Service" <help@shop.example> wrote:'),
)

HEADERS = (
    _headed(
        "outlook_en",
        "My number is 4711.",
        "From: Service <help@shop.example>\nSent: Tuesday, March 3, 2020 1:11 PM\nTo: Ann\nSubject: Your order",
    ),
    _headed(
        "outlook_en_rule",
        "My number is 4711.",
        f"{'_' * 32}\nFrom: Service\nSent: Tuesday, March 3, 2020 1:11 PM\nTo: Ann\nSubject: Your order",
    ),
    _headed(
        "outlook_de",
        "Meine Nummer ist 4711.",
        "Von: Service\nGesendet: Dienstag, 3. März 2020 13:11\nAn: Ann\nBetreff: Ihre Bestellung",
    ),
    _headed(
        "outlook_fr",
        "Mon numéro est 4711.",
        "De : Service\nEnvoyé : mardi 3 mars 2020 13:11\nÀ : Ann\nObjet : Votre commande",
    ),
    _headed(
        "outlook_es_original",
        "Mi número es 4711.",
        "-----Mensaje original-----\nDe: Service\nEnviado el: martes, 3 de marzo de 2020 13:11\nPara: Ann\nAsunto: Su pedido",
    ),
    _headed(
        "outlook_nl",
        "Mijn nummer is 4711.",
        "Van: Service\nVerzonden: dinsdag 3 maart 2020 13:11\nAan: Ann\nOnderwerp: Uw bestelling",
    ),
    _headed(
        "outlook_sv",
        "Mitt nummer är 4711.",
        "Från: Service\nSkickat: den 3 mars 2020 13:11\nTill: Ann\nÄmne: Din order",
    ),
    _headed(
        "outlook_hu",
        "A számom 4711.",
        "Feladó: Service <help@shop.example>\nElküldve: 2020. március 3. 13:11\nCímzett: Ann\nTárgy: Rendelés",
    ),
    _headed(
        "outlook_el",
        "Ο αριθμός μου είναι 4711.",
        "Από: Service\nΣτάλθηκε: Τρίτη, 3 Μαρτίου 2020 13:11\nΠρος: Ann\nΘέμα: Παραγγελία",
    ),
    _headed(
        "outlook_uk", "Мій номер 4711.", "Від: Service\nНадіслано: 3 березня 2020 р. 13:11\nКому: Ann\nТема: Замовлення"
    ),
    _headed(
        "outlook_tr",
        "Numaram 4711.",
        "Kimden: Service\nGönderildi: 3 Mart 2020 Salı 13:11\nKime: Ann\nKonu: Siparişiniz",
    ),
    _headed(
        "outlook_bold",
        "My number is 4711.",
        "*From:* Service <help@shop.example>\n*Sent:* Tuesday, March 3, 2020 1:11 PM\n*To:* Ann\n*Subject:* Your order",
    ),
    _headed(
        "gmx_de",
        "Meine Nummer ist 4711.",
        'Gesendet: Dienstag, 03. März 2020 um 13:11 Uhr\nVon: "Service" <help@shop.example>\nAn: ann@home.example\nBetreff: Ihre Bestellung',
    ),
    _headed(
        "zimbra_fr",
        "Mon numéro est 4711.",
        '----- Mail original -----\nDe: "Service" <help@shop.example>\nÀ: "Ann" <ann@home.example>\nEnvoyé: Mardi 3 Mars 2020 13:11:11\nObjet: Votre commande',
    ),
    _headed(
        "qq_zh",
        "我的号码是4711。",
        '------------------ 原始邮件 ------------------\n发件人: "Service" <help@shop.example>;\n发送时间: 2020年3月3日(星期二) 下午1:11\n收件人: "Ann" <ann@home.example>;\n主题: 订单',
    ),
    _headed(
        "outlook_ja",
        "番号は4711です。",
        "差出人: Service <help@shop.example>\n送信日時: 2020年3月3日 13:11\n宛先: Ann\n件名: ご注文",
    ),
    _headed(
        "outlook_ko",
        "제 번호는 4711입니다.",
        "보낸 사람: Service <help@shop.example>\n보낸 날짜: 2020년 3월 3일 화요일 오후 1:11\n받는 사람: Ann\n제목: 주문",
    ),
    _headed(
        "lotus_de",
        "Meine Nummer ist 4711.",
        "Von:        Service/Shop\nAn:        Ann <ann@home.example>\nDatum:        03.03.2020 13:11\nBetreff:        Ihre Bestellung",
    ),
)
