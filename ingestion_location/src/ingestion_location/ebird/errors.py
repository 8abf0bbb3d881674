"""What can go wrong between the eBird API and this program, each as a sentence for people."""


class EbirdError(Exception):
    """The API could not be reached, refused, or said something that cannot be used."""


class KeyRefusedError(EbirdError):
    """The API refused the key (403)."""


class GoneError(EbirdError):
    """The thing that was asked for does not exist (404 or 410)."""


class BudgetError(EbirdError):
    """The day's calls are used up."""
