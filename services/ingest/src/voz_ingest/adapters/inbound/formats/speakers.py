"""Who speaks in a conversation: the customer, or the company. By the words that systems write for them."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Side = Literal["customer", "company"]

# Of "customer service", "atención al cliente" or "service client" it is the company that speaks, so these come first.
_COMPANY_WORDS = """
    service services support care center centre helpdesk desk servicio atencion soporte servico atendimento suporte
    assistance sav servizio assistenza supporto kundenservice kundendienst kundenbetreuung kundensupport kundenberater
    kundenberaterin
    agent agents company business employee internal staff operator advisor adviser representative rep csr assistant
    bot chatbot voicebot ivr system automated virtual machine supervisor manager admin
    specialist technician receptionist
    agente asesor asesora operador operadora teleoperador teleoperadora gestor gestora empresa empleado empleada sistema
    representante ejecutivo ejecutiva tecnico tecnica comercial colaborador colaboradora
    atendente assistente consultor consultora
    conseiller conseillere operateur teleconseiller teleconseillere teleoperateur
    teleoperatrice technicien technicienne representant representante employe employee entreprise systeme
    agentin mitarbeiter mitarbeiterin berater beraterin kundenbetreuer kundenbetreuerin sachbearbeiter sachbearbeiterin
    techniker technikerin firma unternehmen
    operatore operatrice addetto addetta consulente rappresentante azienda
"""
_CUSTOMER_WORDS = """
    customer customers caller client clients user enduser visitor guest contact consumer external buyer shopper
    subscriber patient
    cliente clientes clienta llamante usuario usuaria visitante interlocutor consumidor consumidora
    utilizador utilizadora chamador
    appelant appelante utilisateur utilisatrice visiteur visiteuse abonne abonnee
    kunde kundin anrufer anruferin besucher besucherin nutzer nutzerin benutzer
    clienti chiamante utente visitatore visitatrice
"""
_COMPANY, _CUSTOMER = frozenset(_COMPANY_WORDS.split()), frozenset(_CUSTOMER_WORDS.split())
_WORD = re.compile(r"[a-z]+")


def side(name: str) -> Side | None:
    """The side of a speaker who is named by a role (`AGENT_1`, `Cliente`, `end_user`, `Kundenberaterin Anke`), in
    English, Spanish, Portuguese, French, German or Italian; None for another name."""
    words = {*_WORD.findall(plain(name))}
    if words & _COMPANY:
        return "company"
    return "customer" if words & _CUSTOMER else None


def plain(name: str) -> str:
    """A name as it is compared: without case, accents, or what stands between its words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-.]+", " ", name)
    bare = "".join(c for c in unicodedata.normalize("NFKD", apart) if not unicodedata.combining(c))
    return " ".join(bare.casefold().split())
