"""What keeps callers apart: who they are, by which authority, for which users."""

from typing import Final

from tests.mutants.mutant import Edit, Mutant

TLS_TESTS: Final = "tests/kernel/test_tls.py"

ACCESS: Final = (
    Mutant(
        "users-check",
        "the check of the user a request names against the client's users",
        (
            Edit(
                "kernel/rpc/interceptor.py",
                "            validate(request)\n            self._require_users(request)\n",
                "            validate(request)\n",
            ),
        ),
        "tests/access/test_matrix.py"
        "::test_the_right_client_is_refused_for_a_user_it_does_not_serve[/trade.v1.TradeService/GetProposal]",
    ),
    Mutant(
        "stream-right",
        "the second look at the caller of an open stream after access.yaml has changed",
        (Edit("kernel/rpc/interceptor.py", "            standing.require()\n", ""),),
        f"{TLS_TESTS}::test_a_stream_that_is_open_ends_with_the_first_message_after_its_right_was_taken_away",
    ),
    Mutant(
        "common-name-identity",
        "the URI name: the common name says who is calling",
        (
            Edit(
                "kernel/rpc/access.py",
                'name = _name_of(list(proved.get("peer_uri", ())))',
                'name = next(iter(proved.get("x509_common_name", ())), b"").decode() or None',
            ),
        ),
        f"{TLS_TESTS}::test_a_certificate_without_exactly_one_name_of_ours_names_nobody[none]",
    ),
    Mutant(
        "any-authority",
        "the demand for a certificate of our authority in the handshake",
        (Edit("kernel/rpc/tls.py", "require_client_authentication=True", "require_client_authentication=False"),),
        f"{TLS_TESTS}::test_only_a_client_of_our_authority_whose_certificate_is_valid_gets_through",
    ),
    Mutant(
        "tls-1.2",
        "the setting that leaves TLS 1.3 only",
        (Edit("kernel/tls_floor.py", '"ECDHE-PSK-CHACHA20-POLY1305"', '"ECDHE-ECDSA-AES128-GCM-SHA256"'),),
        f"{TLS_TESTS}::test_a_client_that_knows_tls_1_2_only_is_refused_and_one_with_1_3_is_not",
    ),
)
