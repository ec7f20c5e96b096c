"""Chat templates: those of known models give transformers' text, bad ones are stopped."""

import time

import pytest

from summand.model import chat
from summand.model.chat import ChatTemplateError, render_chat

#: Like SmolLM2's, with features that templates commonly use.
PLAIN = (
    "{% if messages[0]['role'] != 'system' %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] | trim "
    "+ '\n' }}{% endfor %}{% set ns = namespace(n=0) %}{% for i in range(3) %}"
    "{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ {'a': 'é'} | tojson }}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@pytest.fixture
def with_template(tokenizer):
    """Returns the tokenizer with a template, for this test only."""
    before = tokenizer.chat_template, tokenizer.bos_token

    def put(template: object):
        tokenizer.chat_template = template
        tokenizer.bos_token = "<s>"
        return tokenizer

    yield put
    tokenizer.chat_template, tokenizer.bos_token = before


@pytest.mark.parametrize("template", [PLAIN, {"default": PLAIN, "tool_use": "other"}])
def test_text_is_what_transformers_gives(with_template, template):
    tokenizer = with_template(template)
    turns = [{"role": "user", "content": "  Zürich {{ 1 }} \U0001f600\n"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert "<|user|>" in text
    assert render_chat(tokenizer, turns) == text


FAILURES = {
    "{{ raise_exception('roles must alternate') }}": "TemplateError: roles must alternate",
    "{{ messages | nosuch }}": "No filter named 'nosuch'",
    "{{ messages[7].content.x }}": "UndefinedError",
    "{% for": "TemplateSyntaxError",
    "{{ 1 / 0 }}": "ZeroDivisionError",
    "{% for i in range(1000000000) %}{% endfor %}": "Range too big",
    "{{ 'x' * 3000000000 }}": "more than 1024 MiB of memory",
    "{{ 'x' * 3000000 }}": "writes more than 1,048,576 characters",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "too many levels",
    "{{ messages.__class__.__mro__ }}": "SecurityError",
    "{% include '/etc/passwd' %}": "TypeError: no loader",
    "{% set a = " + "[" * 3000 + "]" * 3000 + " %}": "too many levels",
}


@pytest.mark.parametrize(("template", "why"), FAILURES.items(), ids=FAILURES.values())
def test_a_template_that_fails_is_told_in_a_line(with_template, template, why):
    with pytest.raises(ChatTemplateError, match=why) as caught:
        render_chat(with_template(template), [{"role": "user", "content": "hi"}])
    assert str(caught.value).startswith("the model's chat template")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", [{"tool_use": "x"}, 3, "x" * 2_000_000])
def test_a_template_that_is_none(with_template, template):
    with pytest.raises(ChatTemplateError, match="chat template"):
        render_chat(with_template(template), [{"role": "user", "content": "hi"}])


@pytest.mark.parametrize("loop", ["nested", "power"])
def test_a_template_without_an_end_is_ended(with_template, monkeypatch, loop):
    monkeypatch.setattr(chat, "_SECONDS", 1)
    inner = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
    template = {"nested": inner, "power": "{{ 7 ** (7 ** 12) }}"}[loop]
    start = time.perf_counter()
    with pytest.raises(ChatTemplateError, match="did not end in 1 s"):
        render_chat(with_template(template), [{"role": "user", "content": "hi"}])
    assert time.perf_counter() - start < 30
