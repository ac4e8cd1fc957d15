"""Settings of Django's tests: two databases of the server that the environment names."""

import os

from django.db.backends.postgresql.features import DatabaseFeatures


def database(name):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": os.environ["PGUSER"],
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
    }


DATABASES = {"default": database("intralith"), "other": database("other")}
SECRET_KEY = "for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

# Collations of ICU are not there: tests that can do with any other take C.
DatabaseFeatures.test_collations = {"non_default": "C", "swedish_ci": None}
