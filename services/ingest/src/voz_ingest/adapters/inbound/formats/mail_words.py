"""What mail programs write around what people write, in es, en, pt, fr, de and it, as patterns of single lines.

Each is bounded, or linear in the length of a line, so that no mail takes long.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE


def _any(*forms: str) -> str:
    return f"(?:{'|'.join(forms)})"


# Over an old mail

_VERBS = _any("wrote", "escribió", "escreveu", "a écrit", "schrieb", "ha scritto")
_WROTE_ON = _any(
    "wrote on", "escribió el", r"escreveu (?:em|no dia|a|\()", "a écrit le", "schrieb am", "ha scritto (?:il|in)"
)
WROTE = tuple(
    re.compile(form, _I)
    for form in (
        r"(?:On|At)\b.+\bwrote\s*:",
        r"El\b.+\bescribió\s*:",
        r"(?:Em|No dia|Às?|A|Na)\b.+\bescreveu\s*:",
        r"Le\b.+\ba écrit\s*:",
        r"Am\b.+\bschrieb\b.*:",
        r"Il\b.+\bha scritto\s*:",
        r"(?:Op|Den|Dne|Dnia|W dniu)\b.+\b(?:schreef|skrev|napsal|napisał|pisze)\b.*:",
        r".+(?:写道：|のメッセージ:|님이 작성:|작성하였습니다:)",
        rf".{{1,150}}\b{_WROTE_ON}\b.+:",
        rf".{{1,150}}@.{{1,150}}\b{_VERBS}\s*:",
    )
)
"""The line of attribution, `El mar, 3 nov 2026 a las 10:00, Ana escribió:`, unwrapped."""
MAYBE_WROTE = re.compile(
    rf"(?:On|At|El|En|Em|No dia|Às?|A|Na|Le|Am|Il|Op|Den|Dne|Dnia|W dniu)\b.*\d|.*\b{_VERBS}|.*[：:]$", _I
)
"""A line that may begin one."""
DATED = re.compile(r"\d{1,2}[:.h]\d{2}|\b\d{4}\b|\d{1,2}[./-]\d{1,2}[./-]\d{2}|\d{4}[年년]|@")
"""What one has beside the verb: a time, a year, or an address."""

_RULE_BEFORE, _RULE_AFTER = r"[\s*_=]{0,20}-{2,40}[ ]{0,9}", r"[ ]{0,9}-{2,40}[\s*_=]{0,20}"
ORIGINAL = re.compile(
    _RULE_BEFORE
    + _any(
        "original (?:message|appointment)",
        "(?:mensaje|correo) original",
        "mensagem original",
        "message d['’]origine",
        "message original",
        "ursprüngliche (?:nachricht|e-?mail)",
        "original-?(?:nachricht|mail|e-?mail)",
        "messaggio originale",
    )
    + _RULE_AFTER,
    _I,
)
FORWARD = re.compile(
    _RULE_BEFORE
    + _any(
        "forwarded message",
        "forwarded by .{1,80}",
        "(?:mensaje|correo) reenviado",
        "mensagem (?:re)?encaminhada",
        "(?:message|courriel) transféré",
        "weitergeleitete (?:nachricht|mail|e-?mail)",
        "messaggio inoltrato",
    )
    + _RULE_AFTER
    + "|"
    + _any(
        "begin forwarded message",
        "inicio del mensaje reenviado",
        "início da mensagem (?:re)?encaminhada",
        "début du message (?:transféré|réexpédié)",
        "anfang der weitergeleiteten (?:nachricht|e-?mail)",
        "inizio (?:del )?messaggio inoltrato",
    )
    + r"\s?:",
    _I,
)
FORWARD_SUBJECT = re.compile(r"\s*(?:fwd?|rv|reenv|enc|tr|wg|i)\s*:", _I)
RULE = re.compile(r"[_-]{10,}")


def _label(*names: str) -> re.Pattern[str]:
    return re.compile(rf"[\s*_]{{0,9}}{_any(*names)}[\s*_]{{0,9}}:", _I)


LABELS = {
    "from": _label("from", "de", "von", "da", "van", "från", "fra", "od"),
    "sent": _label("sent", "enviad[oa](?: el| em)?", "envoyé(?: le)?", "gesendet(?: am)?", "inviato(?: il)?"),
    "date": _label("date", "fecha", "data", "datum"),
    "to": _label("to", "para", "à", "an", "a", "per"),
    "copy": _label("b?cc", "cco", "kopie", "copia", "cópia", "copie", "reply-to", "responder a"),
    "subject": _label("subject", "asunto", "assunto", "objet", "betreff", "oggetto"),
    "rest": _label(
        "importan(?:ce|cia|za)", "importância", "wichtigkeit", "priorità", "attachments", "adjuntos", "anexos"
    ),
}
"""The lines of Outlook's header, and of a forwarded mail's."""

# Under what was written

SIGNATURE = frozenset({"--", "—", "–"})
"""RFC 3676, section 4.3, and what becomes of it."""

_APP = r"(?:yahoo|outlook|gmail|hotmail|e?mail|correo|courriel|proton|samsung|galaxy|huawei|xiaomi|iphone|ipad|android)"
DEVICE = re.compile(
    _any(
        rf"sent (?:from|via|using) (?:my|the|{_APP})\b.*",
        r"sent with \[?proton.*",
        r"get outlook for .*",
        rf"enviado (?:desde|a través de|con) (?:mi|{_APP})\b.*",
        r"(?:obtén|obtener|descargar?) outlook para .*",
        rf"enviad[oa] (?:do|da|a partir d[eoa]|através d[eoa]) (?:meu|minha|{_APP})\b.*",
        r"(?:obter|obtenha|baixar) (?:o )?outlook para .*",
        rf"envoyé (?:de|depuis|à partir de|avec) (?:mon|ma|l['’]application|{_APP})\b.*",
        r"(?:téléchargez?|télécharger|obtenir|obtenez) outlook pour .*",
        r"(?:von|mit) mein(?:em|er) .{1,60} gesendet.*",
        rf"gesendet (?:von|mit|über|aus) (?:mein(?:em|er)|der|{_APP})\b.*",
        r"diese nachricht wurde von mein(?:em|er) .*",
        r"(?:holen sie sich |laden sie )?outlook für .{1,40}",
        rf"inviato (?:da|dal|con|tramite) (?:(?:il )?mio|{_APP})\b.*",
        r"(?:scarica|ottieni) outlook per .*",
    ),
    _I,
)
"""The line that a telephone or a program adds."""

BANNER = re.compile(
    r"[\s*\[(]{0,9}(?:caution|external|precaución|atención|attention|achtung|vorsicht|atenção|attenzione)\b"
    r".{0,40}\b(?:originated|external|outside|extern\w*)\b",
    _I,
)
"""The warning that a company's own gateway puts before mails from outside."""

NOTICE_TITLE = re.compile(
    _any(
        "aviso (?:legal|de confidencialid?ade?|de privacidad)",
        "(?:cláusula|nota) de confidencialidade?",
        "confidentiality not(?:e|ice)",
        "legal notice",
        "disclaimer",
        "avis de confidentialité",
        "vertraulichkeitshinweis",
        "haftungsausschluss",
        "rechtlicher hinweis",
        "(?:avviso|nota|clausola) di riservatezza",
    )
    + r"\b",
    _I,
)
NOTICE = re.compile(
    _any(
        r"th(?:is|e)\b.{0,60}\b(?:e-?mail|message|communication|transmission|information)",
        r"(?:please|before)\b.{0,40}print",
        r"important\b.{0,20}notice",
        r"(?:este|el presente)\b.{0,20}\b(?:mensaje|correo|e-?mail)",
        r"la información\b.{0,60}\b(?:mensaje|correo|e-?mail)",
        r"antes de imprimir",
        r"de conformidad con",
        r"en cumplimiento d",
        r"le informamos",
        r"(?:esta mensagem|este e-?mail|esta comunicação|as informações|a informação)",
        r"(?:ce|cet|cette|le présent)\b.{0,20}\b(?:message|courriel|mail|e-?mail|courrier)",
        r"les informations",
        r"avant d['’]imprimer",
        r"pensez à",
        r"n['’]imprimez",
        r"(?:diese|dieses|der inhalt dieser)\b.{0,20}\b(?:e-?mail|nachricht|mail)",
        r"bitte (?:denken|prüfen|beachten)",
        r"(?:il presente|questo|questa|le informazioni)\b.{0,40}\b(?:messaggio|e-?mail|comunicazione)",
        r"prima di stampare",
        r"ai sensi de",
    ),
    _I,
)
"""How a legal notice begins."""
LAW = re.compile(
    r"confiden|vertraulich|riservat|privileg|unbefugt|prohib|prohíb|proibid|interdit|untersagt|vietat|destinat"
    r"|intended (?:solely|only|for)|recipient|empfänger|adressat|imprim|\bprint|drucken|stampar|medio ambiente|environ"
    r"|umwelt|rgpd|gdpr|dsgvo|lopd|protección de datos|proteção de dados|datenschutz",
    _I,
)
"""What it then speaks of."""

FAREWELL = re.compile(
    _any(
        r"(?:un |muchos |reciba un )?(?:cordial |cordiales |afectuoso )?saludos?",
        r"atentamente",
        r"(?:muchas )?gracias",
        r"(?:best|kind|warm|many)\b.{0,12}(?:regards|wishes|thanks)",
        r"regards",
        r"(?:yours )?sincerely",
        r"thanks",
        r"thank you",
        r"cheers",
        r"(?:com os )?(?:melhores )?cumprimentos",
        r"atenciosamente",
        r"obrigad[oa]",
        r"abraços?",
        r"(?:bien )?cordialement",
        r"bien à vous",
        r"(?:sincères )?salutations",
        r"merci",
        r"bonne (?:journée|soirée)",
        r"mit (?:freundlichen|besten|lieben)",
        r"(?:viele|beste|liebe|freundliche) grüße",
        r"mfg",
        r"danke",
        r"(?:cordiali |distinti )?saluti",
        r"grazie",
    )
    + r"\b",
    _I,
)
REACHED_BY = re.compile(
    r"@|www\.|https?:|(?:\+|\btel|\btfno|\bmov|\bmobil|\bphone|\bfax|\bcell|\btél).{0,12}\d"
    r"|\d{3}[ .-]?\d{2,3}[ .-]?\d{2,}",
    _I,
)
"""An address, a telephone: what stands under a name."""
