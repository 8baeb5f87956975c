"""The tables of shops and of what belongs to one shop, one file a subject.

May import the ground and the models of companies; knows nothing of notifications.
"""

from shops.models.billing import BillingDocument, BillingDraft, NumberSeries, PriceItem, PriceList
from shops.models.contracts import NETWORKS_WITHOUT_CARD, Contract
from shops.models.dataforms import ContentField, DataCollectionForm, DataFormAnswer, DataFormVersion
from shops.models.keys import ShopKey
from shops.models.orders import (
    DEFAULT_VALIDITY_DAYS,
    MAX_VALIDITY_DAYS,
    Mode,
    PaymentOrder,
    PaymentOrderEntry,
    PaymentOrderTemplate,
    end_of_day,
    new_token,
    reference_validator,
)
from shops.models.shop import ALGORITHM_OVERLAP, KEY_OVERLAP, Shop, SignatureAlgorithm, site_id_validator

__all__ = [
    "ALGORITHM_OVERLAP",
    "BillingDocument",
    "BillingDraft",
    "ContentField",
    "Contract",
    "DEFAULT_VALIDITY_DAYS",
    "DataCollectionForm",
    "DataFormAnswer",
    "DataFormVersion",
    "KEY_OVERLAP",
    "MAX_VALIDITY_DAYS",
    "Mode",
    "NETWORKS_WITHOUT_CARD",
    "NumberSeries",
    "PaymentOrder",
    "PaymentOrderEntry",
    "PaymentOrderTemplate",
    "PriceItem",
    "PriceList",
    "Shop",
    "ShopKey",
    "SignatureAlgorithm",
    "end_of_day",
    "new_token",
    "reference_validator",
    "site_id_validator",
]
