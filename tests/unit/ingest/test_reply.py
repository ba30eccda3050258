"""A mail's own words, in mails as people's programs write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_ingest.adapters.inbound.formats.html import to_text
from voz_ingest.adapters.inbound.formats.reply import cut

ATTRIBUTIONS = {
    "es, Gmail": "El mar, 3 nov 2026 a las 10:00, Soporte Acme (<soporte@acme.example>) escribió:",
    "es, iPhone": "El 3 nov 2026, a las 10:00, Soporte Acme <soporte@acme.example> escribió:",
    "es, Thunderbird": "El 3/11/26 a las 10:00, Soporte Acme escribió:",
    "es, wrapped": "El mar, 3 nov 2026 a las 10:00, Soporte de Acme"
    " Telecomunicaciones\n(<soporte@acme.example>) escribió:",
    "es, name first": "Soporte Acme <soporte@acme.example> escribió el mar, 3 nov 2026 a las 10:00:",
    "en, Gmail": "On Tue, Nov 3, 2026 at 10:00 AM Acme Support <support@acme.example> wrote:",
    "en, wrapped": "On Tue, Nov 3, 2026 at 10:00 AM Acme Support\n<support@acme.example>\nwrote:",
    "en, Thunderbird": "On 11/3/26 10:00, Acme Support wrote:",
    "pt, Gmail": "Em ter., 3 de nov. de 2026 às 10:00, Suporte Acme <suporte@acme.example> escreveu:",
    "pt, iPhone": "No dia 3/11/2026, às 10:00, Suporte Acme <suporte@acme.example> escreveu:",
    "pt, Portugal": "Suporte Acme <suporte@acme.example> escreveu no dia terça, 3/11/2026 à(s) 10:00:",
    "pt, Portugal, in brackets": "Suporte Acme <suporte@acme.example> escreveu (terça, 3/11/2026 à(s) 10:00):",
    "pt, Portugal, Thunderbird": "Às 10:00 de 03/11/2026, Suporte Acme escreveu:",
    "fr, Gmail": "Le mar. 3 nov. 2026 à 10:00, Support Acme <support@acme.example> a écrit\xa0:",
    "fr, wrapped": "Le mar. 3 nov. 2026 à 10:00, Support Acme <support@acme.example>\na écrit :",
    "de, Gmail": "Am Di., 3. Nov. 2026 um 10:00\xa0Uhr schrieb Acme Support <support@acme.example>:",
    "de, wrapped": "Am Di., 3. Nov. 2026 um 10:00 Uhr schrieb Acme Support <\nsupport@acme.example>:",
    "de, Thunderbird": "Am 03.11.26 um 10:00 schrieb Acme Support:",
    "de, name first": "Acme Support <support@acme.example> schrieb am Di., 3. Nov. 2026, 10:00:",
    "it, Gmail": "Il giorno mar 3 nov 2026 alle ore 10:00 Supporto Acme <supporto@acme.example> ha scritto:",
    "it, Thunderbird": "Il 03/11/26 10:00, Supporto Acme ha scritto:",
    "nl": "Op di 3 nov 2026 om 10:00 schreef Acme Support <support@acme.example>:",
    "pl": "W dniu wt., 3 lis 2026 o 10:00 Acme Support <support@acme.example> napisał(a):",
}
OUTLOOK = {
    "es": "De: Soporte Acme\nEnviado el: martes, 3 de noviembre de 2026 10:00\nPara: Ana García\nAsunto: RE: Factura",
    "es, mobile": "________________________________\nDe: Soporte <s@acme.example>\nEnviado: martes, noviembre"
    " 3, 2026 10:00 a. m."
    "\nPara: Ana <ana@example.com>\nAsunto: Re: Factura",
    "en": "From: Acme Support <support@acme.example>\nSent: Tuesday, November 3, 2026 10:00 AM\nTo: Ana\nCc: Bo"
    "\nSubject: RE: Invoice",
    "en, bold": "*From:* Acme Support <support@acme.example>\n*Date:* Tuesday, 3 November 2026 at 10:00\n*To:* Ana"
    "\n*Subject:* RE: Invoice",
    "pt": "De: Suporte Acme <s@acme.example>\nEnviada em: terça-feira, 3 de novembro de 2026 10:00\nPara:"
    " Rui\nAssunto: RES: x",
    "fr": "De : Support Acme <s@acme.example>\nEnvoyé : mardi 3 novembre 2026 10:00\nÀ : Chloé\nObjet : RE: Facture",
    "de": "Von: Acme Support <s@acme.example>\nGesendet: Dienstag, 3. November 2026 10:00\nAn: Jörg\nBetreff:"
    " AW: Rechnung",
    "de, GMX": "Gesendet: Dienstag, 3. November 2026 um 10:00 Uhr\nVon: Acme Support <s@acme.example>\nAn: Jörg"
    "\nBetreff: AW: Rechnung",
    "it": "Da: Supporto Acme <s@acme.example>\nInviato: martedì 3 novembre 2026 10:00\nA: Luca\nOggetto: R: Fattura",
    "spaced": "From: Acme Support\n\nSent: Tuesday, November 3, 2026 10:00 AM\n\nTo: Ana\n\nSubject: RE: Invoice",
}
SEPARATORS = (
    "-----Original Message-----",
    "-----Mensaje original-----",
    "----- Mensagem original -----",
    "-----Message d'origine-----",
    "-----Ursprüngliche Nachricht-----",
    "-----Messaggio originale-----",
)
DEVICES = (
    "Enviado desde mi iPhone",
    "Enviado desde Outlook para Android",
    "Obtener Outlook para iOS<https://aka.ms/o0ukef>",
    "Sent from my iPhone",
    "Sent from Yahoo Mail on Android",
    "Get Outlook for iOS<https://aka.ms/o0ukef>",
    "Sent with [ProtonMail](https://protonmail.com/) Secure Email.",
    "Enviado do meu iPhone",
    "Enviado a partir do meu telemóvel Samsung",
    "Envoyé de mon iPhone",
    "Envoyé depuis l’application Mail Orange",
    "Von meinem iPhone gesendet",
    "Gesendet mit der GMX Mail App",
    "Inviato da iPhone",
    "Inviato dal mio telefono",
)
NOTICES = (
    "AVISO LEGAL: Este mensaje y sus anexos son confidenciales.",
    "Este mensaje y los ficheros anexos pueden contener información confidencial dirigida exclusivamente a su"
    " destinatario;"
    " si no lo es, queda prohibida su copia.",
    "Antes de imprimir este mensaje, asegúrese de que es necesario: proteger el medio ambiente está en nuestra"
    " mano y en"
    " la de todos.",
    "This e-mail and any attachments are confidential and intended solely for the use of the individual to whom"
    " they are"
    " addressed.",
    "CONFIDENTIALITY NOTICE\nThis message is for its addressee.",
    "Esta mensagem pode conter informação confidencial ou privilegiada, destinada apenas ao seu destinatário,"
    " pelo que a"
    " sua divulgação é proibida.",
    "Ce message et toutes les pièces jointes sont confidentiels et établis à l'intention exclusive de ses"
    " destinataires;"
    " toute diffusion est interdite.",
    "Diese E-Mail enthält vertrauliche und rechtlich geschützte Informationen. Wenn Sie nicht der richtige"
    " Empfänger sind,"
    " ist das Kopieren untersagt.",
    "Il presente messaggio e gli eventuali allegati sono riservati e destinati esclusivamente al destinatario;"
    " ogni altro"
    " uso è vietato.",
)


@pytest.mark.parametrize("header", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS)
@pytest.mark.parametrize("old", ["> Buenos días:\n>\n> ¿Sigue sin línea?", "Buenos días:\n\n¿Sigue sin línea?"])
def test_what_stands_under_an_attribution_is_cut(header: str, old: str) -> None:
    reply = cut(f"Sí, sigue igual.\n\nLlevo tres días así.\n\n{header}\n\n{old}\n")
    assert reply.text == "Sí, sigue igual.\n\nLlevo tres días así."
    assert "Buenos días" in reply.cut


@pytest.mark.parametrize("header", OUTLOOK.values(), ids=OUTLOOK)
def test_what_stands_under_an_outlook_header_is_cut(header: str) -> None:
    reply = cut(f"No me llega la factura.\r\n\r\n{header}\r\n\r\nHola:\r\n\r\nLa enviamos ayer.\r\n")
    assert reply.text == "No me llega la factura."
    assert reply.cut.endswith("La enviamos ayer.")


@pytest.mark.parametrize("separator", SEPARATORS)
def test_what_stands_under_a_separator_is_cut(separator: str) -> None:
    assert cut(f"De acuerdo.\n\n{separator}\nDe: Soporte\n\nHola").text == "De acuerdo."


@pytest.mark.parametrize("device", DEVICES)
def test_the_line_that_a_telephone_adds_is_cut(device: str) -> None:
    assert cut(f"No puedo pagar con la app.\n\n{device}").text == "No puedo pagar con la app."
    assert cut(f"No puedo.\n\n{device}\n\n{ATTRIBUTIONS['es, iPhone']}\n\n> Hola").text == "No puedo."


@pytest.mark.parametrize("notice", NOTICES)
def test_a_legal_notice_is_cut(notice: str) -> None:
    assert cut(f"¿Me devuelven el dinero?\n\n{notice}").text == "¿Me devuelven el dinero?"
    assert cut(f"¿Cuándo?\n\nOn Nov 3, 2026 at 10:00 A <a@b> wrote:\n> Hola\n\n{notice}").text == "¿Cuándo?"


def test_a_signature_is_cut() -> None:
    assert cut("Hola, no va.\n\n-- \nAna García\nTel. +34 600 111 222\n").text == "Hola, no va."
    assert cut("Hola, no va.\n\n-- \nAna\n\nOn Nov 3, 2026 at 10:00 A <a@b> wrote:\n> x").text == "Hola, no va."


def test_a_farewell_and_a_name_stay_and_the_address_under_them_goes() -> None:
    mail = "No funciona.\n\nUn saludo,\nAna García\nDirectora de compras\nTel. 91 222 33 44 | www.example.com"
    assert cut(mail).text == "No funciona.\n\nUn saludo,\nAna García"
    assert cut("Gracias,\nuna cosa más:\n¿a qué hora vienen mañana?").text.endswith("mañana?")


@pytest.mark.parametrize(
    "mail",
    [
        "Hola:\n\n- no va la tele\n- no va el router\n-no va nada\n\nGracias,\nuna cosa más: ¿cuándo vienen?",
        "El 3 de noviembre su compañero me escribió:\n«Llega mañana».\nY no llegó.",
        "De: Madrid\nPara: Barcelona\nFecha: 3/11/2026\n\nQuiero cambiar el billete.",
        "Enviado desde hace tres días y sigue sin llegar.\n\n¿Dónde está?",
        "Este mensaje es confidencial: no quiero que lo lea mi jefe.",
        "Le pregunté el lunes y nadie me escribió: ¿van a contestar?",
        "I wrote on Monday, and again today: no answer.",
        "Datos:\nDe: Ana <ana@example.com>\nAsunto: Baja\n\nQuiero darme de baja.",
        "Total ----- 30 euros\n\nPrecio antes: 20",
    ],
)
def test_what_only_looks_like_it_stays(mail: str) -> None:
    assert cut(mail).text == mail


def test_answers_between_quotes_are_kept_in_order() -> None:
    mail = (
        "Hola, contesto abajo.\n\nOn Tue, Nov 3, 2026 at 10:00 AM Acme <s@acme.example> wrote:\n> ¿Qué"
        " día?\n\nEl jueves.\n\n"
        "> ¿A qué hora?\n>\n> Soporte\n\nPor la tarde.\n"
    )
    assert cut(mail).text == "Hola, contesto abajo.\n\nEl jueves.\n\nPor la tarde."
    assert cut("> ¿Qué día?\nEl jueves.\n> ¿Hora?\nLas cinco.").text == "El jueves.\n\nLas cinco."


def test_an_answer_under_the_quote_is_kept() -> None:
    assert cut("Am 03.11.2026 um 10:00 schrieb Acme:\n> Wann?\n>\n\nMorgen früh.\n\n-- \nJörg").text == "Morgen früh."


@pytest.mark.parametrize(
    "marker",
    [
        "---------- Forwarded message ---------",
        "---------- Mensaje reenviado ----------",
        "---------- Mensagem encaminhada ---------",
        "---------- Message transféré ---------",
        "---------- Weitergeleitete Nachricht ----------",
        "---------- Messaggio inoltrato ---------",
        "-------- Mensaje reenviado --------",
        "Begin forwarded message:",
        "Début du message réexpédié :",
    ],
)
def test_what_was_forwarded_is_kept_without_its_header(marker: str) -> None:
    header = (
        "De: Tienda <tienda@example.com>\nDate: mar, 3 nov 2026 a las 10:00\nSubject: Pedido\nTo: <ana@example.com>"
    )
    mail = f"Mirad lo que me dicen.\n\n{marker}\n{header}\n\n\nSu pedido se ha perdido.\n"
    assert cut(mail).text == "Mirad lo que me dicen.\n\nSu pedido se ha perdido."
    assert cut(mail.removeprefix("Mirad lo que me dicen.\n\n")).text == "Su pedido se ha perdido."


def test_what_apple_mail_forwards_is_quoted_and_kept() -> None:
    mail = (
        "Ved esto:\n\n> Inicio del mensaje reenviado:\n>\n"
        "> De: Tienda <t@example.com>\n> Asunto: Pedido\n>\n> Se ha perdido.\n"
    )
    assert cut(mail).text == "Ved esto:\n\nSe ha perdido."


def test_what_outlook_forwards_is_kept_when_the_subject_says_so() -> None:
    mail = f"Os paso su respuesta.\n\n{OUTLOOK['es']}\n\nNo podemos ayudarle."
    assert cut(mail, forwarded=True).text == "Os paso su respuesta.\n\nNo podemos ayudarle."
    assert cut(mail).text == "Os paso su respuesta."


def test_what_stands_alone_is_never_lost() -> None:
    assert cut(f"{OUTLOOK['es']}\n\nNo podemos ayudarle.").text == "No podemos ayudarle."
    assert cut("-- \nAna García").text == "-- \nAna García".replace("-- ", "--")
    assert cut(NOTICES[1]).text == NOTICES[1]
    assert cut("Enviado desde mi iPhone").text == "Enviado desde mi iPhone"


def test_what_is_only_quoted_says_nothing() -> None:
    assert cut("On Nov 3, 2026 at 10:00 A <a@b> wrote:\n> Hola\n> Adiós").text == ""
    assert cut("").text == ""


def test_the_warning_of_a_gateway_is_no_word_of_the_customer() -> None:
    mail = "CAUTION: This email originated from outside of the organization. Do not click links.\n\nMy line is dead."
    assert cut(mail).text == "My line is dead."


def test_quotes_of_html_are_cut_like_those_of_text() -> None:
    gmail = (
        '<div dir="ltr">Sigue sin ir.<div><br></div><div>¿Cuándo vienen?</div></div><br><div class="gmail_quote">'
        '<div dir="ltr" class="gmail_attr">El mar, 3 nov 2026 a las 10:00, Soporte (&lt;<a href="mailto:s@a.example">'
        's@a.example</a>&gt;) escribió:<br></div><blockquote class="gmail_quote"><div>Hola,'
        " Ana</div></blockquote></div>"
    )
    assert cut(to_text(gmail, quote="> ")).text == "Sigue sin ir.\n\n¿Cuándo vienen?"
    outlook = (
        '<p>Toujours rien.</p><div id="appendonsend"></div><hr tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><font>'
        "<b>De :</b> Support &lt;s@a.example&gt;<br><b>Envoyé :</b> mardi 3 novembre 2026 10:00<br><b>À :</b> Chloé<br>"
        "<b>Objet :</b> Re: Facture</font><div>&nbsp;</div></div><div>Bonjour,</div>"
    )
    assert cut(to_text(outlook, quote="> ")).text == "Toujours rien."


@given(st.text(st.sampled_from("> -\nae:@1_El escribió wrote:\r\t"), max_size=400))
def test_any_text_keeps_what_it_says(whole: str) -> None:
    reply = cut(whole)
    unquoted = [
        line
        for line in whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if not line.lstrip().startswith(">")
    ]
    assert all(line.strip() in whole.replace("\r", "\n") for line in reply.text.split("\n"))
    if any(any(map(str.isalpha, line)) and ":" not in line for line in unquoted):
        assert reply.text


@pytest.mark.parametrize(
    "line", ["- ", ">", "-", "El 3/11/26 a las 10:00, A\n", "De: a@b\nSent: x\nTo: y\n\n", "a\n> b\n", "\n"]
)
def test_no_mail_takes_long(line: str) -> None:
    begin = time.process_time()
    cut(line * (400_000 // len(line)))
    assert time.process_time() - begin < 5
