"""Random companies with conditions, and an oracle of answers and coverage that shares nothing with the product.

The oracle reads the plain values of the facts and applies docs/rules.md by itself: no resolver, no catalogue.
"""

import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.facts import CompanyFacts, ConditionFacts, EventFacts
from tests.notifications.core.test_resolver_properties import ADDRESS, companies

# --- Random companies -----------------------------------------------------------------------------

CONDITIONS = st.sampled_from(
    [
        ConditionFacts("mode", "eq", "PRODUCTION"),
        ConditionFacts("amount", "gt", 1000),
        ConditionFacts("amount", "lt", 500),
        ConditionFacts("source", "not_in", ("BO", "BATCH")),
        ConditionFacts("source", "in", ("FORM",)),
        ConditionFacts("instalments", "eq", False),
        ConditionFacts("network", "ne", "CB"),
        ConditionFacts("currency", "in", ("EUR", "CHF")),
    ]
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.sampled_from([0, 499, 500, 1000, 1001, True, "1001"]),
        "source": st.sampled_from(["FORM", "BO", "BATCH", "JS", None]),
        "instalments": st.sampled_from([True, False, None]),
        "network": st.sampled_from(["CB", "VISA"]),
        "currency": st.sampled_from(["EUR", "USD"]),
    },
)


@st.composite
def companies_with_conditions(draw: Any) -> CompanyFacts:
    """Companies whose rules have conditions, whose incident list and calls may be for nobody, with addresses in any state."""
    company = draw(companies())
    states = draw(st.dictionaries(ADDRESS, st.sampled_from([*AddressState]), max_size=4))
    return replace(
        company,
        verify_addresses=draw(st.booleans()),
        health={same(address): HealthFacts(state) for address, state in states.items()},
        shops=tuple(
            replace(
                shop,
                rules=tuple(
                    replace(rule, conditions=tuple(draw(st.lists(CONDITIONS, max_size=3, unique=True))))
                    for rule in shop.rules
                ),
            )
            for shop in company.shops
        ),
    )


# --- The oracle -----------------------------------------------------------------------------------

TO_MANAGER_CC = ("shop_created", "production_key_generated")
TO_MANAGER = ("three_d_secure_activated", "payment_order_problem", "payment_order_copy")
TO_COMPANY_BY_SHOP = ("data_form_go_live", "data_form_go_live_confirmation", "detailed_billing")
OF_SHOPS = (*TO_MANAGER_CC, *TO_MANAGER, *TO_COMPANY_BY_SHOP)
OF_COMPANY = ("consistency_report", "newsletter", "platform_incident")
CRITICAL = ("ipn_failure", "platform_incident", "production_key_generated")
OF_RULES = {"ipn_failure": "ipn_call", "merchant_email": "merchant_email"}


def same(address: str) -> str:
    """One form of an address for comparing, for the spellings that the generator knows."""
    local, _at, domain = unicodedata.normalize("NFC", address.strip()).lower().rpartition("@")
    return f"{local}@{_wire(domain)}"


def _wire(domain: str) -> str:
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in domain.split(".")
    )


def manager_of(company: CompanyFacts, shop: Any) -> str:
    return shop.manager_email or company.manager_email


def spelling(company: CompanyFacts, key: str) -> str:
    """How the tables spell an address: as in its first role."""
    shops = sorted(company.shops, key=lambda shop: shop.site_id)
    places = [company.manager_email, company.technical_email, *company.incident_emails]
    places += [manager_of(company, shop) for shop in shops]
    for shop in shops:
        for rule in sorted(shop.rules, key=lambda rule: rule.reference):
            places += [entry for entry in rule.recipients if entry != "@shop_manager"]
    for accounts in (company.users, company.sftp_accounts):
        places += [account.email for account in sorted(accounts, key=lambda account: account.login)]
    return next(place for place in places if place and same(place) == key)


def lines(company: CompanyFacts) -> list[dict[str, Any]]:
    """What there is to answer about, each with (address, to or cc, source) of everybody it is for."""
    found: list[dict[str, Any]] = []
    shops = sorted(company.shops, key=lambda shop: shop.site_id)
    for code, kind in OF_RULES.items():
        for shop in shops:
            rules = sorted((r for r in shop.rules if r.type == kind), key=lambda rule: rule.reference)
            for rule in rules:
                entries = [(manager_of(company, shop), "to", "shop_manager")] * ("@shop_manager" in rule.recipients)
                entries += [(entry, "to", "rule") for entry in rule.recipients if entry != "@shop_manager"]
                found.append({"code": code, "shop": shop, "rule": rule, "account": None, "for": entries})
            if not rules:
                found.append({"code": code, "shop": shop, "rule": None, "account": None, "for": None})
    for code in OF_SHOPS:
        for shop in shops:
            if code in TO_COMPANY_BY_SHOP:
                entries = [(company.manager_email, "to", "company_manager")]
            else:
                entries = [(manager_of(company, shop), "to", "shop_manager")]
            if code in TO_MANAGER_CC:
                entries.append((company.manager_email, "cc", "company_manager"))
            found.append({"code": code, "shop": shop, "rule": None, "account": None, "for": entries})
    for code in OF_COMPANY:
        entries = [(company.manager_email, "to", "company_manager")]
        if code == "platform_incident":
            entries = [(address, "to", "incident_contact") for address in company.incident_emails]
        found.append({"code": code, "shop": None, "rule": None, "account": None, "for": entries})
    for code, accounts, source in (
        ("user_account", company.users, "user"),
        ("sftp_account", company.sftp_accounts, "sftp_account"),
    ):
        for account in sorted(accounts, key=lambda account: account.login):
            entry = [(account.email, "to", source)]
            found.append({"code": code, "shop": None, "rule": None, "account": account, "for": entry})
    return found


def in_state(company: CompanyFacts, state: str) -> set[str]:
    return {key for key, health in company.health.items() if health.state == state}


def expected_gaps(company: CompanyFacts) -> list[tuple[str, str | None, str | None]]:
    """(notification, shop, rule) of what is critical and reaches nobody."""
    gone = in_state(company, "suppressed")
    found = []
    for line in lines(company):
        shop, rule = line["shop"], line["rule"]
        active = company.status == "active" and (shop is None or shop.status == "active")
        is_on = active and line["for"] is not None and (rule is None or rule.enabled)
        told = {same(entry[0]) for entry in line["for"] or ()}
        if line["code"] in CRITICAL and is_on and not told - gone:
            found.append((line["code"], shop.site_id if shop else None, rule.reference if rule else None))
    return found


def holds(condition: ConditionFacts, event: EventFacts) -> bool:
    values: dict[str, Any] = {"instalments": False, "source": "FORM"}
    values |= {name: value for name, value in event.data.items() if value is not None}
    values["mode"] = event.mode
    if condition.variable not in values:
        return False
    actual = values[condition.variable]

    def equal(expected: Any) -> bool:
        return type(actual) is type(expected) and actual == expected

    if condition.operator in ("gt", "lt"):
        if type(actual) is not int:
            return False
        return actual > condition.value if condition.operator == "gt" else actual < condition.value
    listed = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    inside = any(equal(item) for item in listed)
    return inside if condition.operator in ("eq", "in") else not inside


def expected_answer(
    company: CompanyFacts,
    line: dict[str, Any],
    address: str,
    *,
    trigger: str | None,
    event: EventFacts | None,
    ticked: bool | None,
) -> dict[str, Any]:
    """The answer of one line to a question."""
    shop, rule, account = line["shop"], line["rule"], line["account"]
    obstacles: list[str] = []
    if account is None:
        if company.status != "active":
            obstacles.append(f"company_{company.status}")
        if shop is not None and shop.status != "active":
            obstacles.append(f"shop_{shop.status}")
    instead: list[str] = []
    mine: list[tuple[str, str, str]] = []
    if line["for"] is None:
        obstacles.append("no_rule")
    else:
        if rule is not None:
            obstacles += ["rule_disabled"] * (not rule.enabled)
            obstacles += ["trigger_not_in_rule"] * (trigger is not None and trigger not in rule.triggers)
            if event is not None:
                obstacles += ["condition_false" for condition in rule.conditions if not holds(condition, event)]
        obstacles += ["account_disabled"] * (account is not None and not account.active)
        obstacles += ["newsletter_opt_out"] * (line["code"] == "newsletter" and company.newsletter_opt_out)
        obstacles += ["copy_not_ticked"] * (line["code"] == "payment_order_copy" and ticked is False)
        suppressed = account is None and same(address) in in_state(company, "suppressed")
        mine = [entry for entry in line["for"] if same(entry[0]) == same(address)]
        if not mine:
            obstacles.append("not_addressed")
            keys = sorted({same(entry[0]) for entry in line["for"]})
            instead = [spelling(company, key) for key in keys]
        obstacles += ["address_suppressed"] * suppressed
    delivers = not obstacles
    return {
        "notification": line["code"],
        "shop": shop.site_id if shop else None,
        "rule": rule.reference if rule else None,
        "account": account.login if account else None,
        "delivers": delivers,
        "as": mine[0][1] if delivers else None,
        "source": mine[0][2] if delivers else None,
        "obstacles": obstacles,
        "instead": instead,
    }


def expected_cells(company: CompanyFacts) -> list[dict[str, Any]]:
    """The cells of the coverage."""
    cells: list[dict[str, Any]] = []
    order = ["nobody", "nobody_on_purpose", "off", "unverified", "single", "covered"]
    for code in (*OF_RULES, *OF_SHOPS, *OF_COMPANY):
        about = [None] if code in OF_COMPANY else sorted({shop.site_id for shop in company.shops})
        for site_id in about:
            mine = [
                line
                for line in lines(company)
                if line["code"] == code and (line["shop"].site_id if line["shop"] else None) == site_id
            ]
            shop = mine[0]["shop"]
            active = company.status == "active" and (shop is None or shop.status == "active")
            on = [
                line
                for line in mine
                if active
                and line["for"] is not None
                and (line["rule"] is None or line["rule"].enabled)
                and not (code == "newsletter" and company.newsletter_opt_out)
            ]
            states, everybody = [], set()
            for line in on:
                reached = {same(entry[0]) for entry in line["for"]} - in_state(company, "suppressed")
                everybody |= reached
                nobody = "nobody_on_purpose" if line["rule"] is not None and not line["for"] else "nobody"
                is_verified = reached & in_state(company, "verified") or not company.verify_addresses
                some = "unverified" if not is_verified else "single" if len(reached) == 1 else "covered"
                states.append(some if reached else nobody)
            state = min(states, key=order.index) if states else "off"
            cells.append({"notification": code, "shop": site_id, "state": state, "addresses": len(everybody)})
    return cells


def expected_score(cells: list[dict[str, Any]], accepted: set[tuple[str, str | None]]) -> int:
    """The score in whole tenths, rounded half up."""
    worth = {"covered": 10, "single": 8, "unverified": 5, "nobody_on_purpose": 10, "nobody": 0}
    top = bottom = 0
    for cell in cells:
        if cell["state"] == "off":
            continue
        weight = 3 if cell["notification"] in CRITICAL else 1
        credit = worth[cell["state"]]
        if cell["state"] == "nobody" and (cell["notification"], cell["shop"]) in accepted:
            credit = 10
        top, bottom = top + weight * credit, bottom + weight * 10
    return (200 * top + bottom) // (2 * bottom) if bottom else 100
