"""The words of the E2E restaurant domain: fields, values, and the phrases that say them.

* PHRASES, the phrases that say a value outright (`sushi` says food=Japanese).
* DEGREES, the words that rate or price a place by the word next to them (`low` in `low prices`).
* NEAR_WORDS and what follows tell a `near` place from the place described.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FIELDS: tuple[str, ...] = (
    "name", "eatType", "food", "priceRange", "customer rating", "area", "familyFriendly", "near",
)  # fmt: skip
OPEN_FIELDS = ("name", "near")
"""Fields whose values are names, of which there are always more."""
# Spellings of field names, without case, spaces, hyphens and underscores.
ALIASES: dict[str, str] = {
    **{field.lower().replace(" ", ""): field for field in FIELDS},
    "type": "eatType",
    "price": "priceRange",
    "rating": "customer rating",
    "family": "familyFriendly",
    "kidfriendly": "familyFriendly",
    "location": "area",
    "cuisine": "food",
}
VALUES: dict[str, tuple[str, ...]] = {
    "name": (
        "Alimentum", "Aromi", "Bibimbap House", "Blue Spice", "Browns Cambridge", "Clowns", "Cocum",
        "Cotto", "Fitzbillies", "Giraffe", "Green Man", "Loch Fyne", "Midsummer House", "Strada",
        "Taste of Cambridge", "The Cambridge Blue", "The Cricketers", "The Dumpling Tree",
        "The Eagle", "The Golden Curry", "The Golden Palace", "The Mill", "The Olive Grove",
        "The Phoenix", "The Plough", "The Punter", "The Rice Boat", "The Twenty Two", "The Vaults",
        "The Waterman", "The Wrestlers", "Travellers Rest Beefeater", "Wildwood", "Zizzi",
    ),
    "eatType": ("restaurant", "pub", "coffee shop"),
    "food": ("English", "French", "Italian", "Japanese", "Chinese", "Indian", "Fast food"),
    "priceRange": ("cheap", "less than £ 20", "moderate", "£ 20 - 25", "high", "more than £ 30"),
    "customer rating": ("low", "1 out of 5", "average", "3 out of 5", "high", "5 out of 5"),
    "area": ("riverside", "city centre"),
    "familyFriendly": ("yes", "no"),
    "near": (
        "All Bar One", "Avalon", "Burger King", "Café Adriatic", "Café Brazil", "Café Rouge",
        "Café Sicilia", "Clare Hall", "Crowne Plaza Hotel", "Express by Holiday Inn",
        "Rainbow Vegetarian Café", "Raja Indian Cuisine", "Ranch", "The Bakers",
        "The Portland Arms", "The Rice Boat", "The Six Bells", "The Sorrento", "Yippee Noodle Bar",
    ),
}  # fmt: skip
# Other spellings of a place that the corpus uses.
PLACE_SPELLINGS: dict[str, tuple[str, ...]] = {
    "Browns Cambridge": ("Brown ' s Cambridge", "Browns"),
    "Cocum": ("Cocom", "Coccum"),
    "Crowne Plaza Hotel": ("Crown Plaza Hotel", "Crowne Plaza", "Crown Plaza"),
    "Express by Holiday Inn": ("Holiday Inn Express", "Express Holiday Inn", "Holiday Inn"),
    "Fitzbillies": ("Fitzbilly ' s", "Fitzbilles"),
    "Rainbow Vegetarian Café": ("Rainbow Café", "Rainbow Vegetarian"),
    "Raja Indian Cuisine": ("Raja Cuisine", "Raja Indian"),
    "The Dumpling Tree": ("Dumpling Tree",),
    "The Golden Curry": ("Golden Curry",),
    "The Wrestlers": ("Wrestler ' s",),
    "Travellers Rest Beefeater": ("Travelers Rest Beefeater", "Travellers Rest", "Beefeater"),
    "Yippee Noodle Bar": ("Yippee Noodle",),
}
# `(a|b)` is a choice and `[a|b]` one that may be left out; the next four recur below.
_WHO = "(family|child|kid|children|kids|families)"
_MANY = "(children|families|kids|family)"
_20 = "(£ 20|20 pounds|20|20 euros|20 £|£ 20 pounds|£ 20 euros|twenty pounds|twenty)"
_30 = "(£ 30|30 pounds|30|30 euros|30 £|£ 30 pounds|£ 30 euros|thirty pounds|thirty)"
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "eatType": {
        "restaurant": ("restaurant", "restaurants"),
        "pub": ("pub", "pubs"),
        "coffee shop": ("coffee shop", "coffee shops", "coffee (house|place|bar)", "coffeeshop"),
    },
    "food": {
        "English": ("English", "British"),
        "French": ("French",),
        "Italian": ("Italian", "pasta", "spaghetti"),
        "Japanese": ("Japanese", "sushi"),
        "Chinese": ("Chinese",),
        "Indian": ("Indian",),
        "Fast food": (
            "Fast food", "Fast - food", "fastfood", "(burgers|hamburgers)", "[French] fries",
        ),
    },
    "priceRange": {
        "cheap": (
            "cheap", "inexpensive", "low [-] cost", "cheaply", "cheaper", "low - end",
        ),
        "less than £ 20": (
            f"(less than|under|below|lower than|cheaper than|up to|less then) {_20}",
            f"{_20} (or|and) (less|under|below|lower)",
        ),
        "moderate": ("mid [-] (range|priced)", "middle [-] range", "moderately expensive"),
        "£ 20 - 25": (
            "(£ 20|20|20 £|20 pounds) (-|to|and|or) (£ 25|25|25 £|25 pounds|£ 25 pounds|25 euros)",
            "twenty [pounds] (to|-|and) twenty [-] five [pounds]", "£ 25", "around £ 20",
        ),
        "high": (
            "expensive", "pricey", "costly", "high [-] end", "upscale", "higher [-] end",
        ),
        "more than £ 30": (
            f"(more than|over|above|at least|more then|greater than|higher than|upwards of|"
            f"starting at|start at|starts at|starting from|exceed|exceeding) {_30}",
            f"{_30} (or|and) (more|up|above|over|higher)",
            "£ 30 [+|plus|pounds|euros]", "30 (pounds|euros|£)",
        ),
    },
    "customer rating": {
        f"{number} out of 5": (
            f"({number}|{word}) (out of|of|out|/) (5|five) [stars|star]",
            f"({number}|{word}) [-] (star|stars)",
        )
        for number, word in (("1", "one"), ("3", "three"), ("5", "five"))
    },
    "area": {
        "riverside": (
            "riverside", "river", "river side", "riverfront", "river front", "waterfront",
            "riverbank", "river bank", "river Thames", "Thames", "(by|near|on) the water",
        ),
        "city centre": (
            "city centre", "city center", "(centre|center) of [the] (city|town)", "in [the] city",
            "in [the] (city|town) centre", "in the centre", "town centre", "city area",
            "(heart|middle) of the city", "downtown", "centrally",
        ),
    },
    "familyFriendly": {
        "yes": (
            f"{_WHO} [-] friendly",
            f"friendly (to|for|towards) [all] {_MANY}",
            f"(welcomes|welcoming|welcome|allows|allow|accepts|accept) [all] [the] {_MANY}",
            f"{_MANY} (are|is|always) (welcome|welcomed|allowed)",
            f"{_MANY} (welcome|welcomed|allowed)",
            f"(suitable|good|great|perfect|ideal|appropriate|fun|fine) for [the|all|your|a] "
            f"[whole|entire] {_MANY}",
            f"(caters|cater|catering|caterings) (to|for) {_MANY}",
            "family (oriented|orientated|place|atmosphere|environment|style|establishment|eatery|"
            "venue|setting|dining|fun)",
            "for (families|kids|children)", "for the [whole|entire] family",
            "with [your] [whole|entire] (kids|children|family)",
            "(bring|take) [the|your|a] [whole|entire] (kids|children|family|families)",
            "[for|of] all (ages|age groups)", "(kid|child|family) safe",
            "(kid|child|children) ' s friendly",
        ),
        "no": (
            f"not {_WHO} [-] friendly", f"non [-] {_WHO} [-] friendly",
            f"isn ' t {_WHO} [-] friendly", "adults only", "adult only", "only adults",
            "for adults", "adult [-] friendly", "adult [-] oriented", "adult", "adults", "mature",
            "no (kids|children|families)", f"not a {_WHO} [-] friendly",
            "family unfriendly", "unfriendly (to|for) (kids|families)",
            f"{_WHO} [-] unfriendly", f"{_MANY} (are not|aren ' t|not) (welcome|allowed|permitted)",
            "without (children|kids)", "unsuitable for (children|families|kids)",
            "(child|kid) free", "children free",
        ),
    },
}  # fmt: skip
# A word of degree: what it says of the prices and what of the customer rating.
DEGREES: dict[str, tuple[str | None, str | None]] = {
    "low": ("cheap", "low"),
    "lower": ("cheap", "low"),
    "lowly": ("cheap", "low"),
    "poor": (None, "low"),
    "poorly": (None, "low"),
    "bad": (None, "low"),
    "average": ("moderate", "average"),
    "averagely": ("moderate", "average"),
    "medium": ("moderate", "average"),
    "mid": ("moderate", "average"),
    "moderate": ("moderate", "average"),
    "moderately": ("moderate", "average"),
    "high": ("high", "high"),
    "higher": ("high", "high"),
    "highly": ("high", "high"),
    "excellent": (None, "high"),
    "perfect": (None, "high"),
    "great": (None, "high"),
}
PRICE = _set("price prices priced pricing cost costs costing range ranges pricy")
RATING = _set(
    "rating ratings rated rate rates rank review reviews reviewed score scores scored feedback "
    "satisfaction ranked ranking recommended regarded"
)
# Words that may stand between a degree and what it is about: `low customer rating`, and
# `prices are in the low range`.
AFTER = _set("customer customers costumer consumer user overall food menu service by its")
BEFORE = _set(
    "is are was as at a an in the of very quite fairly rather pretty only just being from to has "
    ": been it considered usually generally also its by customers customer ranges"
)
NUMBER = _set("1 3 5 one three five star stars low high £ 20 30 more less over under above below")
VENUES = _set("restaurant pub coffee place eatery establishment food")
# Values that may stand side by side in one text: `a low customer rating of 1 out of 5`.
SAME: tuple[frozenset[str], ...] = tuple(
    frozenset(group)
    for group in (
        ("cheap", "less than £ 20"), ("moderate", "£ 20 - 25"), ("high", "more than £ 30"),
        ("low", "1 out of 5"), ("average", "3 out of 5"), ("high", "5 out of 5"),
    )
)  # fmt: skip
# A place is `near` after one of these, or after the second word of a pair (`across` ... `from`).
NEAR_WORDS = _set(
    "near nearby by beside besides opposite alongside behind around bordering neighbouring "
    "neighboring adjacent past outside close nearest facing neighbors neighbours along"
)
NEAR_PAIRS: dict[str, frozenset[str]] = {
    "to": _set("next close closest adjacent near nearby proximity door opposite "
                    "closely neighbor neighbour neighbors convenient closer"),
    "from": _set("across far away minutes minute down block blocks walk street road distance "
                      "steps corner over up door yards miles metres"),
    "of": _set("vicinity proximity outside front north south east west neighbourhood "
                    "neighborhood area reach distance side"),
    "with": _set("close"),
}  # fmt: skip
# A number in priceRange means the first band whose bound is above it.
BANDS = ((20, "less than £ 20"), (28, "£ 20 - 25"), (float("inf"), "more than £ 30"))
ARTICLES = _set("the a an both local popular famous well known restaurant pub hotel")
AREAS = _set("area vicinity neighborhood neighbourhood")
# `by` after one of these is no place: `stop by X`, `food served by X`.
DOERS = _set("come stop drop swing served offered provided run owned made pass")
VERBS = _set("is serves offers has provides sells")
NEGATORS = _set("not non no never t cannot isnt nor neither doesnt hardly lacks lacking")
# `not only cheap`: no denial.
ONLY = _set("only just merely simply")
# Beside `adults`: no word against children. Before `city centre`: the place is not in it.
BOTH = _set("and or both as")
AWAY = _set("outside from north south east west out outskirts")
STOPS = _set(". , ; ! ? but and with it")
# What denies the first fact after it, however far within its clause, and what the fact next to it.
# Of the latter, those of _AREA deny that a place is there, and nothing else.
DENIERS: tuple[tuple[str, ...], ...] = tuple(
    tuple(phrase.split())
    for phrase in (
        *sorted(NEGATORS - {"non"}), "without", "lack", "lacked", "none", "nothing",
        "nobody", "nowhere", "barely", "scarcely", "formerly", "previously", "used to", "refuse to",
        "refuses to", "stopped", "stops", "ceased", "ceases", "fails to", "failed to",
        "arent", "cant", "didnt", "dont", "wasnt", "wont",
    )
)  # fmt: skip
BESIDE: dict[tuple[str, ...], bool] = {
    **dict.fromkeys(
        (
            ("instead", "of"), ("rather", "than"), ("other", "than"), ("anything", "but"),
            ("except",), ("except", "for"), ("excluding",), ("unlike",), ("far", "from"),
            ("far", "away", "from"), ("far", "off", "from"), ("non",),
        ),
        False,
    ),
    **dict.fromkeys((("away", "from"), ("outside",), ("out", "of"), ("beyond",)), True),
}  # fmt: skip
# After a "not", these are what it denies: `do not miss the sushi`, `no place for young children`.
SPARED = ONLY | _set(
    "far miss forget doubt wrong better beat worry family families child children kid kids"
)
# `a walk away from the river` is near it.
MEASURES = _set(
    "minute minutes walk short step steps street distance blocks block yards metres stone throw"
)
GIVEN = _set("served available offered provided sold here there found")  # `X is not served`
NAMING = _set("call calls consider considers find finds make makes")  # `not call it cheap`
# Words that may stand between a denier and its fact, and between facts that it denies together.
LINKS = _set("the a an any of in by being its food cuisine dishes meals")
AUXILIARIES = _set("do does did is are was were has have had can isn doesn don didn aren")
# No place ends with these, though they open a sentence or stand after `near` capitalised.
NO_PLACES = _set(
    "it this that there they he she you we i its if food price prices here the a city centre kids "
    "children families customers rating located situated northern"
)
SPELT = {"center": "centre", "centers": "centre"}
