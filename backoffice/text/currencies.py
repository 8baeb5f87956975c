"""The currencies of ISO 4217: numeric code and number of decimals of each alphabetic code.

Source: ISO 4217 list one (active codes, funds codes and precious metals included), to which the
codes retired since 2000 that old payments still carry are added at the end. Pure.
"""

from typing import NamedTuple


class Currency(NamedTuple):
    """One currency.

    Attributes:
        numeric: three digits, as form calls carry it.
        exponent: decimals of the usual unit; amounts are integers of 10^-exponent of it. Codes
            without a minor unit (metals, funds, tests) count in whole units.
    """

    numeric: str
    exponent: int


# One line each: decimals, then alphabetic and numeric codes.
_TABLE = """
0 BIF108 CLP152 DJF262 GNF324 ISK352 JPY392 KMF174 KRW410 PYG600 RWF646 UGX800 UYI940 VND704 VUV548 XAF950 XOF952 XPF953
0 XAG961 XAU959 XBA955 XBB956 XBC957 XBD958 XDR960 XPD964 XPT962 XSU994 XTS963 XUA965 XXX999
3 BHD048 IQD368 JOD400 KWD414 LYD434 OMR512 TND788
4 CLF990 UYW927
2 AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BMD060 BND096 BOB068 BOV984
2 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHE947 CHF756 CHW948 CNY156 COP170 COU970 CRC188 CUP192
2 CVE132 CZK203 DKK208 DOP214 DZD012 EGP818 ERN232 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270
2 GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IRR364 JMD388 KES404 KGS417 KHR116 KPW408 KYD136
2 KZT398 LAK418 LBP422 LKR144 LRD430 LSL426 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MRU929 MUR480 MVR462
2 MWK454 MXN484 MXV979 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 PAB590 PEN604 PGK598 PHP608 PKR586
2 PLN985 QAR634 RON946 RSD941 RUB643 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702 SHP654 SLE925 SOS706 SRD968 SSP728
2 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TOP776 TRY949 TTD780 TWD901 TZS834 UAH980 USD840 USN997 UYU858
2 UZS860 VED926 VES928 WST882 XAD396 XCD951 XCG532 YER886 ZAR710 ZMW967 ZWG924
0 BYR974
2 ANG532 BGN975 CUC931 EEK233 HRK191 LTL440 LVL428 MRO478 SKK703 SLL694 STD678 VEF937 ZMK894 ZWL932
"""

CURRENCIES: dict[str, Currency] = {
    code[:3]: Currency(code[3:], int(exponent))
    for exponent, *codes in (line.split() for line in _TABLE.split("\n") if line)
    for code in codes
}


def exponent(alphabetic: str) -> int:
    """Decimals of a currency; 2 for a code that is none."""
    currency = CURRENCIES.get(alphabetic)
    return currency.exponent if currency else 2
