"""What demo learners and staff write, each in the learner's language."""

from __future__ import annotations

from typing import Final

EVIDENCE: Final = {
    "en": (
        "Done with two neighbours, photos before and after in my journal.",
        "It took the whole Saturday. I can show the receipt.",
        "First try failed, the second one held. Notes attached to my logbook.",
        "Finished this week; my instructor saw it on Tuesday.",
    ),
    "fr": (
        "Fait avec deux voisins, photos avant et après dans mon carnet.",
        "Tout un samedi de travail ; j’ai gardé la facture.",
        "Le premier essai a raté, le second a tenu. Notes dans mon journal de bord.",
        "Terminé cette semaine, ma formatrice l’a vu mardi.",
    ),
}
REJECTIONS: Final = {
    "en": (
        "The photo does not show the result yet; please send another one.",
        "Tell us where and when you did it, then submit again.",
    ),
    "fr": (
        "La photo ne montre pas encore le résultat ; envoyez-en une autre, s’il vous plaît.",
        "Précisez où et quand vous l’avez fait, puis soumettez à nouveau.",
    ),
}
REVOCATIONS: Final = {
    "en": ("Recorded by mistake, at the learner's own request.", "Counted twice during the same workshop."),
    "fr": ("Saisi par erreur, à la demande de la personne.", "Compté deux fois pendant le même atelier."),
}
ANSWERS: Final = {
    "diet": {"en": ("None", "No nuts, please"), "fr": ("Aucun", "Sans fruits à coque", "Végétarien")},
    "object": {"en": ("A toaster", "A desk lamp"), "fr": ("Un grille-pain", "Une lampe de bureau", "Une radio")},
}
NOTES: Final = {
    "en": ("I may be five minutes late.", "First time for me!"),
    "fr": ("J’aurai peut-être cinq minutes de retard.", "C’est ma première fois !"),
}
COMMENTS: Final = {
    "en": ("Is there room for a bike in front of the building?", "Looking forward to it."),
    "fr": ("Peut-on venir avec un enfant ?", "Je peux prendre quelqu’un en covoiturage.", "Hâte d’y être."),
}
FEEDBACK: Final = {
    "en": ("Clear and hands-on, thank you.", "A little short for so much to learn."),
    "fr": ("Très concret, merci.", "On repart avec quelque chose qui marche.", "Un peu court."),
}
