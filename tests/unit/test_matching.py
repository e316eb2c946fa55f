"""Keys and membership numbers, as docs/interpretations.md has them."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import blocking, folding, numbers
from models.tables import KEY_LENGTH


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Łukasz", "lukasz"),
        ("Weiß", "weiss"),
        ("Ørsted", "orsted"),
        ("O’Neil", "oneil"),
        ("O'Neil", "oneil"),
        ("Anne-Marie", "anne marie"),
        ("Anne‐Marie", "anne marie"),
        ("  DVOŘÁK ", "dvorak"),
        ("ﬁscher", "fischer"),
        ("Σωκράτης", "sokratis"),
        ("Ευάγγελος", "evangelos"),
        ("Ευτυχία", "eftychia"),
        ("ΠΑΠΑΔΟΠΟΥΛΟΣ", "papadopoulos"),
        ("Μπάμπης", "bampis"),
        ("Първанов", "parvanov"),
        ("مُحَمَّد", "mhmd"),
        ("محـمد", "mhmd"),
        ("آدم", "dm"),
        ("الحسن", "hsn"),
        ("शर्मा", "sharma"),
        ("しょうた", "shota"),
        ("いっせい", "issei"),
        ("いのうえ", "inoue"),
        ("Сергій", "serhii"),
        ("王小明", "wangxiaoming"),
        ("さとう", "sato"),
        ("IŞIK", "isik"),
        ("ışık", "isik"),
        ("An\u00adna\u200b", "anna"),
        ("Ｊｏｈｎ", "john"),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_names_fold_to_what_they_have_in_common(text, folded):
    assert folding.fold(text) == folded


def test_text_without_letters_still_has_a_key():
    assert folding.fold("***") == "***"


@settings(deadline=None)
@given(st.text())
@example("\ufdfa" * 40)
def test_any_text_folds_to_a_bounded_key_and_its_fold_is_itself(text):
    folded = folding.fold(text)
    assert folding.fold(folded) == folded
    assert len(folding.bounded(folded) or "") <= KEY_LENGTH


@settings(deadline=None)
@given(st.text(), st.none() | st.text(max_size=3))
def test_any_text_has_bounded_keys(text, country_code):
    address = {"city": text, "postal_code": text, "country_code": country_code}
    fields = ("first_name", "last_name", "email", "phone_number")
    keys = blocking.member_keys({**dict.fromkeys(fields, text), "address": address})
    assert all(len(key) <= KEY_LENGTH for key in keys.values() if isinstance(key, str))


@settings(deadline=None)
@given(st.text(max_size=16))
def test_an_email_key_is_its_own_key(text):
    key = folding.email_key(f"{text}@example.com")
    assert folding.email_key(key) == key


@pytest.mark.parametrize("text", ["x" * 65, "王" * 255, "ﷺ" * 40])
def test_keys_are_bounded_however_transliteration_lengthens(text):
    assert len(folding.bounded(folding.fold(text))) <= KEY_LENGTH


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("John.Smith@Example.com", "john.smith@example.COM"),
        ("a@bücher.example", "A@xn--bcher-kva.example"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        (" a@example.com ", "a@example.com"),
    ],
)
def test_emails_compare_in_one_form(one, other):
    assert folding.email_key(one) == folding.email_key(other) is not None


def test_dots_and_plus_tags_stay_part_of_an_email():
    assert folding.email_key("a.b+c@example.com") != folding.email_key("ab@example.com")


def test_phone_numbers_compare_by_e164_where_they_parse_and_by_digits_where_not():
    assert folding.phone_keys("+1 (212) 555-0100", None)[0] == "+12125550100"
    assert folding.phone_keys("212 555 0100", "us")[0] == "+12125550100"
    assert folding.phone_keys("212 555 0100", None) == ["2125550100"]
    assert "2125550100" in folding.phone_keys("+1 212 555 0100", None)
    assert folding.phone_keys("call me", "US") == []
    assert folding.phone_keys("12", "US") == []


def test_phone_numbers_agree_unless_one_is_missing():
    known = folding.phone_keys("+1 212 555 0100", None)
    assert folding.phones_agree(known, folding.phone_keys("212 555 0100", None)) is True
    assert folding.phones_agree(known, folding.phone_keys("212 555 0101", None)) is False
    assert folding.phones_agree(known, []) is None


def test_unknown_and_split_countries_stay_as_they_are():
    assert [folding.country_key(code) for code in ("xx", "SU", " ", None)] == ["XX", "SU", None, None]


def test_numbers_follow_the_pattern_and_end_in_a_luhn_check_digit():
    number = numbers.make_number("GOLD-######?")
    digits = [int(sign) for sign in number if sign.isdecimal()]
    doubled = [digit if index % 2 == 0 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(digits[::-1])]
    assert number.startswith("GOLD-")
    assert len(digits) == 7
    assert sum(doubled) % 10 == 0


@pytest.mark.parametrize("pattern", ["#####?", "##########", "######??", ""])
def test_patterns_that_make_no_safe_numbers_are_refused(pattern):
    with pytest.raises(numbers.InvalidNumberPattern):
        numbers.check_pattern(pattern)
