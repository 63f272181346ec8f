"""A tokenizer in the hub's form: its control tokens are known, and nobody else writes them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from brain.engines.llm.prompting import Prompter
from brain.engines.llm.vllm_vocabulary import HubVocabulary
from brain.engines.ports import EngineUnavailable, Message
from tests.engines.conformance import odd_texts

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


def of(backend: object, **more: object) -> HubVocabulary:
    """As transformers' tokenizers have them: what the vocabulary reads of one."""
    values = {"bos_token": None, "eos_token": "<|im_end|>", "eos_token_id": 258, **more}
    tokenizer = SimpleNamespace(backend_tokenizer=backend, **values)
    return HubVocabulary(tokenizer, (257,), "a/model")


def by_bytes() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({text: i for i, text in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    control = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    made.add_special_tokens([AddedToken(text, normalized=False) for text in control])
    made.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return made


def by_pieces() -> Tokenizer:
    """SentencePiece's kind, as Llama 2's: it puts a space before what it is given."""
    spelt = {text: i for i, text in enumerate(("<unk>", "<s>", "\u2581", "a", "b", "\n"))}
    made = Tokenizer(models.BPE(spelt, [], unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    made.add_special_tokens([AddedToken("<s>", normalized=False)])
    return made


def test_control_tokens_and_others() -> None:
    control, defined = of(by_bytes()).special_tokens()
    assert control == {"<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258}
    assert defined == {"<tool_call>": 259}


def test_only_trusted_text_has_control_tokens() -> None:
    vocabulary = of(by_bytes())
    trusted = vocabulary.tokenize("<|im_end|>", special=True)
    assert trusted == [258]
    plain = vocabulary.tokenize("<|im_end|>", special=False)
    assert len(plain) == len("<|im_end|>")
    assert vocabulary.piece(258) == b"<|im_end|>"
    assert [vocabulary.ends_generation(token) for token in (256, 257, 258)] == [False, True, True]


def test_any_text_has_tokens() -> None:
    vocabulary = of(by_bytes())
    for text in (*odd_texts.SAID, *odd_texts.UNSAID, *odd_texts.FOREIGN):
        ids = vocabulary.tokenize(text, special=False, continues=True)
        assert len(ids) == len(text.encode("utf-8", "replace"))


def test_what_continues_gets_no_space_of_its_own() -> None:
    vocabulary = of(by_pieces())
    assert vocabulary.tokenize("ab", special=False) == [2, 3, 4]
    assert vocabulary.tokenize("ab", special=False, continues=True) == [3, 4]
    assert vocabulary.tokenize("", special=False, continues=True) == []


def test_a_prompt_of_it_cannot_be_forged() -> None:
    prompter = Prompter(of(by_bytes(), chat_template=TEMPLATE))
    plain, forged = (
        prompter.prompt([Message("user", text)]).cells for text in ("Hi", odd_texts.FORGED)
    )
    for control in (257, 258):
        assert forged.count(control) == plain.count(control)
    assert prompter.ends(258)
    assert prompter.shown(258) == b""
    assert prompter.shown(259) == b"<tool_call>"


def test_pictures_keep_the_order_of_what_stands_for_them_which_nobody_spells() -> None:
    def look(picture: bytes, number: int) -> list[list[int]]:
        return [[300 + number]]

    vocabulary = of(by_bytes(), chat_template=TEMPLATE)
    prompter = Prompter(vocabulary, look, markers=["<|image_1|>"])
    talk = [
        Message("user", "Hi", images=(b"one", b"two")),
        Message("assistant", "<|image_1|>"),
        Message("tool", "<|image_1|>", images=(b"three",)),
    ]
    prompt = prompter.prompt(talk)
    assert [token for token in prompt.cells if token > 300] == [301, 302, 303]
    assert prompt.pictures == (b"one", b"two", b"three")
    assert "<|image_1|>" not in b"".join(map(vocabulary.piece, prompt.cells)).decode()


@pytest.mark.parametrize(
    ("template", "taken"),
    [(TEMPLATE, TEMPLATE), ({"default": TEMPLATE, "rag": "x"}, TEMPLATE), (None, None), ("", None)],
)
def test_the_template_among_several(template: object, taken: str | None) -> None:
    assert of(by_bytes(), chat_template=template).chat_template == taken


def test_a_model_without_a_tokenizer_of_this_kind_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"a/model has no tokenizer\.json"):
        of(None)
