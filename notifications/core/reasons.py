"""The codes of reasons for or against a candidate. Deliveries store them, so they never change.

`wording.REASONS` has the sentence of each; `wording.MAIL_REASONS` what the foot of a mail says.
"""

from enum import StrEnum


class Reason(StrEnum):
    # Contacts of shop and company.
    SHOP_MANAGER = "shop_manager"
    SHOP_MANAGER_INHERITED = "shop_manager_inherited"
    COMPANY_MANAGER = "company_manager"
    COMPANY_MANAGER_COPY = "company_manager_copy"
    INCIDENT_CONTACT = "incident_contact"
    NO_INCIDENT_CONTACT = "no_incident_contact"
    FORMER_MANAGER_ADDRESS = "former_manager_address"
    # Rules.
    RULE_SHOP_MANAGER = "rule_shop_manager"
    RULE_SHOP_MANAGER_INHERITED = "rule_shop_manager_inherited"
    RULE_RECIPIENT = "rule_recipient"
    RULE_DISABLED = "rule_disabled"
    RULE_TEST = "rule_test"
    NO_LONGER_RECIPIENT = "no_longer_recipient"
    NOBODY_ON_PURPOSE = "nobody_on_purpose"
    # Calls.
    CALLED_URL = "ipn_call_addressee"
    NO_URL = "no_url"
    FORM_URLS_ONLY = "form_urls_only"
    # Accounts.
    OWN_ACCOUNT = "own_account"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_SECURITY = "account_security_addressee"
    FORMER_ADDRESS = "former_address"
    VERIFIED_ADDRESS = "verified_address"
    # Addresses that come with the occasion.
    BUYER = "buyer_email_addressee"
    NO_BUYER_ADDRESS = "no_buyer_address"
    INVALID_BUYER_ADDRESS = "invalid_buyer_address"
    ORDER_RECIPIENT = "payment_order_addressee"
    ORDER_EXTRA_COPY = "payment_order_extra_copy_addressee"
    CHECKED_ADDRESS = "address_check_addressee"
    PLATFORM_STAFF = "staff_alert_addressee"
    REPLACED_ADDRESS = "address_replaced_addressee"
    # Whatever it is about.
    SAME_ADDRESS = "same_address"
    NO_ADDRESS = "no_address"
    ADDRESS_SUPPRESSED = "address_suppressed"
    ALL_SUPPRESSED = "all_suppressed"
    COPY_NOT_TICKED = "copy_not_ticked"
    NEWSLETTER_OPT_OUT = "newsletter_opt_out"
    COMPANY_SUSPENDED = "company_suspended"
    COMPANY_CLOSED = "company_closed"
    SHOP_SUSPENDED = "shop_suspended"
    SHOP_CLOSED = "shop_closed"


# What a state other than active keeps from being sent (docs/rules.md 4.12).
OF_COMPANY_STATE = {"suspended": Reason.COMPANY_SUSPENDED, "closed": Reason.COMPANY_CLOSED}
OF_SHOP_STATE = {"suspended": Reason.SHOP_SUSPENDED, "closed": Reason.SHOP_CLOSED}
