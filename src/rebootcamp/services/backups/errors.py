"""What can go wrong with a backup, by what the operator has to do about it."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text


class Unacceptable(DomainError):
    """What is there must not be used: another backup, another key or another target is needed."""

    kind = Kind.CONFLICT


class NotABackup(Unacceptable):
    """The folder holds no manifest that this version understands."""

    code = "not_a_backup"
    title = Text("Not a backup", "Pas une sauvegarde")
    detail = Text(
        "{path} is no backup that can be used: {reason}.",
        "{path} n'est pas une sauvegarde utilisable : {reason}.",
    )


class FileDamaged(Unacceptable):
    """A file of the backup is not the one that was written."""

    code = "backup_damaged"
    title = Text("Damaged backup", "Sauvegarde endommagée")
    detail = Text(
        "{file} is not as it was written ({reason}): use another backup.",
        "{file} n'est pas tel qu'il a été écrit ({reason}) : utilisez une autre sauvegarde.",
    )


class HalvesDiffer(Unacceptable):
    """The PostgreSQL half and the MongoDB half are not of the same backup."""

    code = "backup_halves_differ"
    title = Text("Mixed backup", "Sauvegarde mélangée")
    detail = Text(
        "The {half} half does not carry the mark {bid} of this backup: its halves come from two backups.",
        "La moitié {half} ne porte pas la marque {bid} de cette sauvegarde : ses moitiés viennent de deux sauvegardes.",
    )


class BackupUnsigned(Unacceptable):
    """A signature is asked for, and there is none."""

    code = "backup_unsigned"
    title = Text("Unsigned backup", "Sauvegarde non signée")
    detail = Text(
        "BACKUP_VERIFY_KEY is set and this backup carries no signature.",
        "BACKUP_VERIFY_KEY est défini et cette sauvegarde ne porte aucune signature.",
    )


class SignatureWrong(Unacceptable):
    """The manifest was changed, or signed with another key."""

    code = "backup_signature_wrong"
    title = Text("Wrong signature", "Signature incorrecte")
    detail = Text(
        "The signature does not fit BACKUP_VERIFY_KEY: the manifest was changed, or signed by somebody else.",
        "La signature ne correspond pas à BACKUP_VERIFY_KEY : le manifeste a été modifié, ou signé par un tiers.",
    )


class KeyNeeded(Unacceptable):
    """The backup is encrypted, and the key to read it is not here."""

    code = "backup_key_needed"
    title = Text("Key needed", "Clé nécessaire")
    detail = Text(
        "This backup is encrypted: name the file with the age identity in BACKUP_IDENTITY.",
        "Cette sauvegarde est chiffrée : indiquez le fichier de l'identité age dans BACKUP_IDENTITY.",
    )


class KeyUnusable(Unacceptable):
    """A key cannot be read, or is not of the kind that is needed."""

    code = "backup_key_unusable"
    title = Text("Unusable key", "Clé inutilisable")
    detail = Text("{name} cannot be used: {reason}.", "{name} est inutilisable : {reason}.")


class WrongKey(Unacceptable):
    """The identity is none of those that the backup was encrypted for."""

    code = "backup_wrong_key"
    title = Text("Wrong key", "Mauvaise clé")
    detail = Text(
        "{file} cannot be decrypted with BACKUP_IDENTITY: {reason}.",
        "{file} ne peut pas être déchiffré avec BACKUP_IDENTITY : {reason}.",
    )


class ForeignBackup(Unacceptable):
    """The backup was taken from another store."""

    code = "foreign_backup"
    title = Text("Another store's backup", "Sauvegarde d'un autre ensemble")
    detail = Text(
        "This backup belongs to store {found}, not to {expected}.",
        "Cette sauvegarde appartient à l'ensemble {found}, non à {expected}.",
    )


class NotEmpty(Unacceptable):
    """Data would be overwritten."""

    code = "target_not_empty"
    title = Text("Not empty", "Base non vide")
    detail = Text(
        "{store} holds data already ({what}); nothing was changed.",
        "{store} contient déjà des données ({what}) ; rien n'a été modifié.",
    )


class CutFailed(DomainError):
    """The copy is not of one moment; it was thrown away."""

    kind = Kind.UNAVAILABLE
    code = "backup_cut_failed"
    title = Text("No common cut", "Pas de coupe commune")
    detail = Text(
        "Both stores could not be read at one moment: {reason}. Nothing was kept; try again.",
        "Les deux bases n'ont pas pu être lues au même instant : {reason}. Rien n'a été conservé ; réessayez.",
    )


class WindowOver(DomainError):
    """MongoDB forgets the past faster than it can be copied."""

    kind = Kind.UNAVAILABLE
    code = "backup_window_over"
    title = Text("Snapshot too old", "Instantané trop ancien")
    detail = Text(
        "MongoDB keeps a snapshot for {seconds} s, and the copy took longer: "
        "set minSnapshotHistoryWindowInSeconds to 3600.",
        "MongoDB conserve un instantané {seconds} s et la copie a duré plus longtemps : "
        "réglez minSnapshotHistoryWindowInSeconds à 3600.",
    )


class NoPlace(DomainError):
    """Backups cannot be written where they should."""

    kind = Kind.UNAVAILABLE
    code = "backup_no_place"
    title = Text("No place for backups", "Pas de place pour les sauvegardes")
    detail = Text("{path} cannot take a backup: {reason}.", "{path} ne peut pas recevoir de sauvegarde : {reason}.")


class BackupRunning(DomainError):
    """Another backup or restore works in the same folder."""

    kind = Kind.UNAVAILABLE
    code = "backup_running"
    title = Text("Already running", "Déjà en cours")
    detail = Text(
        "Another backup or restore works in {path}; try again when it is over.",
        "Une autre sauvegarde ou restauration travaille dans {path} ; réessayez ensuite.",
    )


class PlainSqlMissing(Unacceptable):
    """The PostgreSQL half of plain files comes first, and from psql."""

    code = "plain_sql_missing"
    title = Text("SQL first", "Le SQL d'abord")
    detail = Text(
        "PostgreSQL is empty: load {file} with psql -v ON_ERROR_STOP=1 -f first, then run this again.",
        "PostgreSQL est vide : chargez d'abord {file} avec psql -v ON_ERROR_STOP=1 -f, puis relancez cette commande.",
    )


class PlainFilesDiffer(Unacceptable):
    """The rows and the documents were not written together."""

    code = "plain_files_differ"
    title = Text("Not the same set", "Jeux différents")
    detail = Text(
        "PostgreSQL holds another set than mongo.json: load the rebootcamp.sql beside it into an empty database.",
        "PostgreSQL contient un autre jeu que mongo.json : chargez le rebootcamp.sql voisin dans une base vide.",
    )
