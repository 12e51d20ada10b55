"""What the scheduler counts; docs/scans.md says what each is for."""

from typing import Final

from kernel.telemetry import counter, gauge, histogram

CLAIMS: Final = counter("scan_claims_total", "Jobs claimed by this process.")
ENDED: Final = counter(
    "scan_slots_total", "Slots ended by this process, by how; NONE: only late ones, dropped.", ["status"]
)
MISSED: Final = counter("scan_slots_missed_total", "Slots dropped by the policy for missed slots.")
LOST: Final = counter("scan_leases_lost_total", "Runs given up because the job had become another's.")
RETRIED: Final = counter("scan_slots_put_off_total", "Runs put off to be tried again.")
RUNNING: Final = gauge("scan_running", "Slots being run by this process.")
LATENESS: Final = histogram("scan_lateness_seconds", "From a slot's moment to its claim.")
