"""Keys to patients for tests."""

import base64
import os

from pydantic import SecretStr

from radrelay_shared.sealing import KEY_BYTES
from report_service.settings import PatientKeys


def new_key() -> SecretStr:
    """A random key as settings hold it."""
    return SecretStr(base64.b64encode(os.urandom(KEY_BYTES)).decode())


def patient_keys() -> PatientKeys:
    """A tenant's keys."""
    return PatientKeys(sealing=[new_key()], search=new_key())
