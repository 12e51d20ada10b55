"""What the exchange answers instead of doing something: its error codes, their HTTP statuses and texts.

Codes and classes: https://docs.bitvavo.com/docs/errors/. The endpoints raise `Refusal`; the HTTP edge writes it.
"""

from __future__ import annotations

_STATUS = {
    101: 500,
    103: 429,
    104: 429,
    105: 429,
    107: 503,
    108: 503,
    109: 503,
    111: 503,
    112: 429,
    240: 404,
    400: 500,
    415: 404,
    419: 503,
    430: 503,
    431: 409,
    510: 404,
    511: 403,
    512: 403,
    513: 403,
    514: 403,
}
_FIRST_AUTHENTICATION_CODE = 300
_LAST_AUTHENTICATION_CODE = 322


class Refusal(Exception):  # noqa: N818  an answer of the exchange, not a failure of ours
    """One error answer: an integer code of the exchange and a text that clients must not rely on."""

    def __init__(self, code: int, text: str) -> None:
        """Keep code and text as they go onto the wire."""
        super().__init__(code, text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return status_of(self.code)

    def body(self) -> dict[str, object]:
        """The JSON body of the error answer."""
        return {"errorCode": self.code, "error": self.text}


def status_of(code: int) -> int:
    """Tell the HTTP status of an error code; code 429 is an HTTP 400 about decimals."""
    if _FIRST_AUTHENTICATION_CODE <= code <= _LAST_AUTHENTICATION_CODE:
        return 403
    return _STATUS.get(code, 400)


def missing(name: str) -> Refusal:
    """203: a required parameter is not there."""
    return Refusal(203, f"{name} parameter is required.")


def invalid(name: str) -> Refusal:
    """205: a parameter has a value that cannot be."""
    return Refusal(205, f"{name} parameter is invalid.")


def not_found() -> Refusal:
    """240: the order is unknown here, or no longer active."""
    text = "No order found. Please be aware that simultaneously updating the same order may return this error."
    return Refusal(240, text)
