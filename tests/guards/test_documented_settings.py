"""Guards against keys of documents that nobody can look up: each stands in docs/provisioning.md."""

import re
from pathlib import Path

import pytest
from django.conf import settings as project
from pydantic import BaseModel

from backoffice.schemas import settings
from backoffice.schemas.settings import Document

PAGE = (Path(project.BASE_DIR) / "docs" / "provisioning.md").read_text(encoding="utf-8")
MODELS = [
    model
    for model in vars(settings).values()
    if isinstance(model, type) and issubclass(model, Document) and model is not Document
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_stands_on_the_page(model: type[BaseModel]) -> None:
    told = set(re.findall(r'[`"](\w+)[`"]', PAGE))
    assert set(model.model_fields) - told == set()
