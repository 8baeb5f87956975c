"""Documents for these tests: a whole company, and random ones from facts."""

from typing import Any

from notifications.core.facts import AccountFacts, CompanyFacts, RuleFacts, ShopFacts


def company_document(facts: CompanyFacts, reference: str = "x") -> dict[str, Any]:
    """The settings that lead to these facts. Two addresses of one mailbox stand once in a list."""
    return {
        "reference": reference,
        "name": facts.name,
        "language": facts.language,
        "status": facts.status,
        "status_reason": "" if facts.status == "active" else "impayé",
        "newsletter_opt_out": facts.newsletter_opt_out,
        "manager_contact": {"email": facts.manager_email},
        "technical_contact": {"email": facts.technical_email} if facts.technical_email else None,
        "incident_emails": list(facts.incident_emails),
        "verify_addresses": facts.verify_addresses,
        "users": [_account(account) for account in facts.users],
        "sftp_accounts": [_account(account) for account in facts.sftp_accounts],
        "shops": [_shop(shop) for shop in facts.shops],
    }


def _account(account: AccountFacts) -> dict[str, Any]:
    return {"login": account.login, "email": account.email, "enabled": account.active}


def _shop(shop: ShopFacts) -> dict[str, Any]:
    return {
        "site_id": shop.site_id,
        "name": shop.name,
        "manager_email": shop.manager_email,
        "status": shop.status,
        "status_reason": None if shop.status == "active" else "essai",
        "rules": [_rule(rule) for rule in shop.rules],
    }


def _rule(rule: RuleFacts) -> dict[str, Any]:
    return {
        "reference": rule.reference,
        "type": rule.type,
        "label": rule.label,
        "enabled": rule.enabled,
        "triggers": list(rule.triggers),
        "recipients": list(rule.recipients),
        **({"digest": rule.digest} if rule.type == "merchant_email" else {}),
    }
