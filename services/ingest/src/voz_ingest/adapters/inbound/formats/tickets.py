"""What help desks share: the words for where a ticket stands, and the event that says it."""

from __future__ import annotations

from voz_ingest.adapters.inbound.formats import html, ids, reply, speakers, walk
from voz_ingest.adapters.inbound.formats.walk import Fields

# Statuses are words of the account's language, or the company's own; the first row that has one of them decides.
_WORDS = {
    "reopened": "reopened reabierto reabierta reaberto reaberta rouvert rouverte wiedereroffnet riaperto riaperta",
    "pending": """pending pendiente pendente ausstehend wartend wartet waiting awaiting hold onhold espera esperando
        aguardando attente attesa sospeso suspens pause paused snoozed zuruckgestellt angehalten""",
    "solved": """solved resolved resuelto resuelta solucionado solucionada resolvido resolvida resolu resolue gelost
        geloest behoben erledigt risolto risolta completed done""",
    "closed": """closed cerrado cerrada fechado fechada encerrado encerrada ferme fermee clos cloture cloturee
        geschlossen chiuso chiusa merged deleted removed archived""",
    "new": "new nuevo nueva novo nova nouveau nouvelle neu nuovo nuova submitted",
    "open": """open abierto abierta aberto aberta ouvert ouverte offen aperto aperta progress curso corso bearbeitung
        cours""",
}
_STATUSES = {word: status for status, words in _WORDS.items() for word in words.split()}
_RANK = {status: rank for rank, status in enumerate(_WORDS)}
_OVER = frozenset({"solved", "closed"})


def status(said: str) -> str:
    """Where a ticket stands, by the vendor's word for it in English, Spanish, Portuguese, French, German or Italian; a
    word of the company's own is `open`. Empty where nothing is said."""
    found = [_STATUSES[word] for word in speakers.plain(said).split() if word in _STATUSES]
    return min(found, key=_RANK.__getitem__, default="open") if said else ""


def changed(before: str, now: str) -> str:
    """The status after a change: `reopened` for a ticket that was over and is open."""
    return "reopened" if before in _OVER and now in ("new", "open") else now


def event(about: Fields, number: str, now: str, version: str, *, priority: str = "", assignee: str = "") -> Fields:
    """The event of a ticket's status. `version` tells its changes apart, and is the same when one is told again."""
    name = ids.compose("ticket", number, now, version) if version else ids.compose("ticket", number, now)
    ticket = walk.some(id=number[:255], status=now, priority=priority[:64], assignee=assignee[:255])
    return {**about, "id": name, "ticket": ticket} if name else {}


def words(markup: str) -> str:
    """What somebody wrote in HTML, without the mails that it answers."""
    return reply.cut(html.to_text(markup, quote="> ")).text
