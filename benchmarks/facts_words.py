"""How E2E references word their facts: the tables of `facts_judge.py`, written from references."""

from __future__ import annotations

import re

# Values that say the same of a field.
CLASSES = {
    ("priceRange", "cheap"): "low",
    ("priceRange", "less than £ 20"): "low",
    ("priceRange", "moderate"): "middle",
    ("priceRange", "£ 20 - 25"): "middle",
    ("priceRange", "high"): "high",
    ("priceRange", "more than £ 30"): "high",
    ("customer rating", "low"): "low",
    ("customer rating", "1 out of 5"): "low",
    ("customer rating", "average"): "middle",
    ("customer rating", "3 out of 5"): "middle",
    ("customer rating", "high"): "high",
    ("customer rating", "5 out of 5"): "high",
}

# Ways to write a name beside its words in order with or without "the".
SPELLINGS = {
    "browns cambridge": r"browns?",
    "travellers rest beefeater": r"travell?er'?s'? rest|travell?er'?s beefeater|beefeater",
    "bibimbap house": r"bibimbap",
    "express by holiday inn": r"holiday inn(?: express)?|express holiday inn|express inn",
    "crowne plaza hotel": r"crown[e]? plaza(?: hotel)?|crown hotel",
    "raja indian cuisine": r"raja(?:'s)?(?: indian)?(?: cuisine| restaurant)?",
    "rainbow vegetarian cafe": r"rainbow(?: vegetarian)?(?: cafe| restaurant)?",
    "yippee noodle bar": r"yippee(?: noodles?)?(?: bar)?|yippie noodle bar",
    "the sorrento": r"sorren?to",
    "fitzbillies": r"fitz ?bill?i?e?s?|fitzbillie'?s",
    "alimentum": r"ali[ma]+en?tum|alimentium|alimentrum",
    "the eagle": r"eagles",
    "cotto": r"cotton",
    "the wrestlers": r"wrestler'?s?",
    "the cricketers": r"cricketer'?s?",
    "the bakers": r"baker'?s?",
    "the waterman": r"waterm[ae]n",
    "the portland arms": r"portland(?: arms?)?",
    "the olive grove": r"olive groves?",
    "the dumpling tree": r"dumpling trees?",
    "the golden palace": r"golden palace",
    "cafe sicilia": r"sicilia(?: cafe)?|cafe sicilla|cafe sicily",
    "cafe rouge": r"rouge cafe|cafe rogue",
    "cafe brazil": r"brazil cafe|cafe brasil",
    "cafe adriatic": r"(?:the )?adriatic(?: cafe)?",
}  # fmt: skip
_NEAR = (
    r"(?:near(?: ?by| to)?|next(?: door)? to|close(?: by)? to|close by|beside|adjacent to"
    r"|opposite)"
)
NEAR_LEFT = re.compile(_NEAR + r"(?: the| a)? $")
NEAR_EITHER = re.compile(
    r"\b(?:near|by|around|in|and|with|from|at|after|along|beside|to|off|opposite|of"
    r"|vicinity)(?: the| a)? $"
)  # for values that are names and places both
NEAR_RIGHT = re.compile(r" (?:(?:is|being|are) (?:also )?)?(?:near ?by|close ?by|close at hand)\b")

_POUND = r"(?:£ ?|gbp ?|[le](?=\d))?{}(?:\.00)?(?: ?(?:£|pounds?|quid|gbp|euros?))?"
_P20, _P25, _P30 = (_POUND.format(n) for n in (20, 25, 30))
# (field, value, pattern): said wherever the pattern stands, names taken out.
_PATTERNS = [
    ("eatType", "pub", r"\bpubs?\b|\bpublic house"),
    ("eatType", "coffee shop",
     r"\bcoffee ?-?(?:shop|house|place|bar|store)\w*|\bcoffees?\b|\bcafes?\b"),
    ("eatType", "restaurant", r"\brest[au]+rants?\b|\brestraunt|\bresturant|\beatery|\bdiner\b"),
    ("food", "Chinese", r"\bchinese\b|\bchina\b"),
    ("food", "English",
     r"\benglish\b|\bbritish\b(?! pounds?)|\bfish (?:and|&) chips\b|\bengland\b|\benglsih\b"),
    ("food", "French", r"\bfrench\b(?! fries)|\bfrance\b"),
    ("food", "Indian", r"\bindian\b|\bcurr(?:y|ies)\b"),
    ("food", "Italian", r"\bitalian\b|\bpastas?\b|\bpizzas?\b|\bspaghetti\b|\bitaly\b"),
    ("food", "Japanese", r"\bjapanese\b|\bsushi\b|\bjapan\b"),
    ("food", "Fast food",
     r"\bfast[- ]?foods?\b|\bjunk food\b|\bhamburgers?\b|\bburgers?\b|\bfries\b"),
    ("area", "riverside",
     r"\briver[- ]?(?:side|front|bank)?s?\b|\bwater[- ]?(?:side|front)\b|\bthames\b"),
    ("area", "city centre",
     r"\b(?:city|town|cambridge)(?:'s)?[- ]?cent(?:re|er|ral)\b|\bcent(?:re|er) (?:of"
     r"|in) (?:the |a )?(?:\w+ )?"
     r"(?:city|town|cambridge)|\bdown ?town\b|\b(?:heart|middle) of (?:the |a )?(?:city|town"
     r"|cambridge)"
     r"|\b(?:in|near|at) the cent(?:re|er)\b|\bcentral(?:ly)?\b|\bin the city\b|\bcity area\b"
     r"|\binner city\b"),
    ("priceRange", "£ 20 - 25", rf"\b(?:between )?{_P20} ?(?:-|to|and|or) ?{_P25}"),
    ("priceRange", "less than £ 20",
     rf"(?:less(?:er)?(?: tha[nt]| then)?|under|below|lower than|cheaper than|fewer than"
     rf"|within|up to|beneath|"
     rf"not? (?:\w+ )?(?:more|over|above|exceed)(?: than)?|maximum of|<) ?(?:a |the "
     rf"|price of )?{_P20}\b(?! ?(?:-|to) ?£? ?25)"
     rf"|{_P20} (?:or|and) (?:less|under|below|cheaper|lower)|sub ?-?{_P20}|{_P20} max\w*"),
    ("priceRange", "more than £ 30",
     rf"(?:more(?: expensive)?(?: tha[nt]| then)?|over|above|upwards? of|excess of|exceed\w*"
     rf"|at least|higher than|greater than|"
     rf"starting (?:at|from)|start (?:at|from)|from|\bplus|>|minimum of|beyond) ?(?:a "
     rf"|the )?{_P30}\b"
     rf"|{_P30} ?(?:(?:or|and) (?:over|more|up\w*|above|higher|beyond)|\+|plus\b)"),
    ("priceRange", "cheap",
     r"(?<!not )(?<!n't )\bcheap(?:ly|er|est)?\b|\binexpensive\w*|\baffordabl[ey]\b|\bbudget\b"
     r"|\blow[- ]cost\b"
     r"|\beconomical\w*|\bbargain\b|\bnot (?:too |very |so |that )?(?:expensive|pricey)\b"),
    ("priceRange", "high",
     r"(?<!not )(?<!not too )(?<!not very )(?<!n't )\b(?:expensive|pric(?:e)?y|costly|upscale"
     r"|high[- ]end|upmarket|lavish)\b"
     r"|\bnot cheap\b|n't cheap\b"),
]  # fmt: skip
PATTERNS = [(f, v, re.compile(p)) for f, v, p in _PATTERNS]

# Price and rating in a word: the word takes the nearest noun that it can qualify.
QUALITY = {
    "low": r"(?:lower|less|cheaper) than average|low(?:er|est|ly)?|poor(?:ly)?|bad(?:ly)?"
    r"|terrible|negative|worst|reduced|unfavou?rable|below[- ]average|horrible",
    "middle": r"average(?:d|ly)?|moderate(?:ly)?|medium|mid(?:dle)?|mediocre|decent"
    r"|reasonabl[ey]|fair(?:ly)?"
    r"|mid-?range|ok(?:ay)?|modest(?:ly)?|acceptable|so-so",
    "high": r"(?:higher|more|better|greater) than average|high(?:er|est|ly)?|excellent|great"
    r"|top|outstanding|well|best|good|upper|premium|positive|steep"
    r"|above[- ]average|superb|fantastic|exceptional(?:ly)?|perfect|wonderful",
}
ONLY_RATING = re.compile(
    r"excellent|great|top|outstanding|well|best|good|positive|poor|bad|terrible|negative|worst"
    r"|superb"
    r"|fantastic|exceptional|perfect|wonderful|unfavou?rable|horrible|mediocre|ok"
)
NOUNS = {
    "priceRange": r"pric\w*|costs?\b(?! (?:less|more|under|over|between|around|about|from|£))"
    r"|costing|expens\w*|price-?range\w*",
    "customer rating": r"rat(?:ed|ing|ings|es?)\b|reviews?\b|reviewed|scor\w+"
    r"|customers?(?:'s?)? satisfaction|satisf\w+|feedback|approv\w+"
    r"|recommend\w*|regard\w*|ranked|ranking",
}
WORD_VALUES = {
    ("priceRange", "low"): "cheap",
    ("priceRange", "middle"): "moderate",
    ("priceRange", "high"): "high",
    ("customer rating", "low"): "low",
    ("customer rating", "middle"): "average",
    ("customer rating", "high"): "high",
}
_QUALITIES = "|".join(f"(?P<{k}>{v})" for k, v in QUALITY.items())
_NOUNS = "|".join(f"(?P<{k.replace(' ', '_')}>{v})" for k, v in NOUNS.items())
HEADS = re.compile(rf"\b(?:(?:{_QUALITIES})\b|{_NOUNS})")
# What may stand between a noun and the quality said of it: "the price range is rather high".
LINKS = re.compile(
    r"(?:[- :]|\b(?:this|place|restaurant|food|range|point|level|score|is|are|was|were|be"
    r"|being|of|for|at|as|a|an|the|in|on|it|its|has|have|been"
    r"|very|quite|fairly|rather|pretty|relatively|little|bit|slightly|too|also|by|customers?"
    r"|from|considered|as"
    r"|remains?|seems?|tends?|to|only|just|side|overall|generally|per|ratings?|\w+ly)\b)*"
)
# A second noun with a value of its own does not share the first one's quality.
OWN_VALUE = re.compile(
    r"(?:[ -](?:range|point)s?)? ?"
    r"(?:(?:is|are|of|from|between|less|more|under|over|below|above|at)\b|:|£)"
)
DENIED = re.compile(
    r"(?:\bnot|n't)(?: (?:have|got|get|so|very|that|too|been|a|the|particularly|receive"
    r"|offer))* $"
)
STARS = re.compile(
    r"\b([0-5])(?:\.0)?(?: stars?)?(?: ?/ ?| ?out ?-?(?:of )?-?(?:a )?(?:possible )?"
    r"| of )5\b(?: stars?)?"
    r"|(?<!out )(?<!out of )\b([0-5])[- ]?stars?\b|\b(?:rat\w+|scor\w+)(?: (?:is|of|as|at|a|an"
    r"|it))* ([1-5])\b(?! ?(?:out|of|/|star|-star))"
)
KIN = (
    r"(?:famil(?:y|ies)|kid(?:'?s'?)?|child(?:ren)?(?:'?s)?|toddlers?|all ages"
    r"|all the family|youngsters|little ones)"
)
FAMILY = re.compile(rf"\b{KIN}(?:(?: and | or | & |, |/|-| )+{KIN})*\b")
ADULTS = re.compile(
    r"\badults?[- ]?only\b|\badults?\b(?! and (?:kids|child))|\bgrown[- ]?ups?\b|\bover 18"
)
OWNED = re.compile(r"^[- ](?:owned|run|sized?)")
NEGATION = re.compile(
    r"\b(?:not?|non|isn't|aren't|doesn't|don't|never|without|nor|neither|cannot|can't|un"
    r"|excludes?|lacks?|avoid"
    r"|discourag\w+|prohibit\w*|isnt|adults?|unsuitable|inappropriate|unfriendly|anti|won't"
    r"|wouldn't|bans?|leave)\b|n't\b"
)
AFTER = re.compile(
    r"^[^.,;]{0,30}?(?:\bnot\b|n't\b|\bunfriendly|\bunwelcome|\bprohibited|\bforbidden"
    r"|\bun-friendly|-free\b|\bunsuitable)"
)
CLAUSE = re.compile(r"[.;!?:,]|\b(?:but|although|though|however|while|yet|and|whereas|because)\b")
SENTENCE = re.compile(r"[.!?](?= |$)")
AWAY = re.compile(
    r"\b(?:north|south|east|west|outside|outskirts|edge|away|out|end|off|far|not|miles?"
    r"|n't)\b(?: (?:of|from|in|end))*"
    r"(?: the| a)? $"
)
NUMBERS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "twenty": "20"}
