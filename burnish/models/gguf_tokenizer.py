"""The tokenizer of a GGUF file, built from its `tokenizer.ggml` fields as the model's publishers built theirs."""

from collections.abc import Callable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from burnish.errors import ModelError
from burnish.models.gguf import Gguf
from burnish.registry import did_you_mean

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # tokenizer.ggml.token_type

# Meta's published pattern for Llama 3: contractions, words with one sign before, numbers of up to three digits, ...
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def _smollm() -> pre_tokenizers.PreTokenizer:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, _gpt2()])


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)


def _llama_bpe() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(_LLAMA_3), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


# tokenizer.ggml.pre -> (how text is cut before merges, whether a word that is a token as a whole skips the merges)
PRE_TOKENIZERS: dict[str, tuple[Callable[[], pre_tokenizers.PreTokenizer], bool]] = {
    "smollm": (_smollm, False),
    "gpt-2": (_gpt2, False),
    "llama-bpe": (_llama_bpe, True),
}


def tokenizer_from(source: Gguf) -> PreTrainedTokenizerFast:
    """The tokenizer with its special tokens and chat template.

    Raises `ModelError` where the file follows a rule that is not known for sure.
    """
    path, fields = source.path, source.fields
    model = fields.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise ModelError(
            f'{path}: its tokenizer is of the kind "{model}" and only byte-level BPE ("gpt2") is read from a GGUF; '
            "use the model's own directory with safetensors and tokenizer.json instead"
        )
    name = str(fields.get("tokenizer.ggml.pre"))
    if name not in PRE_TOKENIZERS:
        raise ModelError(
            f'{path}: tokenizer.ggml.pre is "{name}", and the rules that burnish knows are '
            f"{', '.join(sorted(PRE_TOKENIZERS))}.{did_you_mean(name, PRE_TOKENIZERS)} "
            "Use the model's own directory with safetensors and tokenizer.json instead"
        )
    pre_tokenizer, whole_words = PRE_TOKENIZERS[name]
    tokens, kinds = _vocabulary(source)
    tokenizer = Tokenizer(_bpe(source, tokens, whole_words))
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, kinds, strict=True):
        if kind in (CONTROL, UNKNOWN):
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif kind == USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    return _with_special_tokens(source, tokenizer, tokens)


def token_id(source: Gguf, role: str) -> int | None:
    """The id in `tokenizer.ggml.<role>_token_id`, or None where the file names none."""
    name = f"tokenizer.ggml.{role}_token_id"
    value = source.fields.get(name)
    if value is None:
        return None
    count = len(_vocabulary(source)[0])
    if not isinstance(value, int) or not 0 <= value < count:
        raise ModelError(f"{source.path}: {name} is {value!r} and the vocabulary has {count:,} entries")
    return value


def _vocabulary(source: Gguf) -> tuple[list[str], list[int]]:
    tokens = source.fields.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelError(f"{source.path}: tokenizer.ggml.tokens is missing or no list of texts")
    if len(set(tokens)) != len(tokens):
        raise ModelError(f"{source.path}: tokenizer.ggml.tokens has {len(tokens) - len(set(tokens)):,} doubled entries")
    kinds = source.fields.get("tokenizer.ggml.token_type", [NORMAL] * len(tokens))
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise ModelError(f"{source.path}: tokenizer.ggml.token_type does not have {len(tokens):,} entries")
    return [str(token) for token in tokens], [int(kind) for kind in kinds]


def _bpe(source: Gguf, tokens: list[str], whole_words: bool) -> models.BPE:
    merges = source.fields.get("tokenizer.ggml.merges")
    if not isinstance(merges, list) or not all(isinstance(merge, str) and merge.count(" ") == 1 for merge in merges):
        raise ModelError(f"{source.path}: tokenizer.ggml.merges is missing or has an entry that is no pair")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [(first, second) for first, _, second in (str(merge).partition(" ") for merge in merges)]
    for first, second in pairs:
        if not {first, second, first + second} <= vocabulary.keys():
            raise ModelError(
                f'{source.path}: tokenizer.ggml.merges joins "{first}" and "{second}", which are not in the vocabulary'
            )
    return models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=whole_words)


def _with_special_tokens(source: Gguf, tokenizer: Tokenizer, tokens: list[str]) -> PreTrainedTokenizerFast:
    given = {role: token_id(source, role) for role in ("bos", "eos", "padding", "unknown")}
    named = {
        f"{ours}_token": tokens[index]
        for ours, index in (("bos", given["bos"]), ("eos", given["eos"]), ("unk", given["unknown"]))
        if index is not None
    }
    padding = given["eos"] if given["padding"] is None else given["padding"]
    if padding is not None:
        named["pad_token"] = tokens[padding]
    if source.fields.get("tokenizer.ggml.add_bos_token") is True and given["bos"] is not None:
        bos = tokens[given["bos"]]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos}:0 $A:0", pair=f"{bos}:0 $A:0 {bos}:1 $B:1", special_tokens=[(bos, given["bos"])]
        )
    template = source.fields.get("tokenizer.chat_template")
    context = source.fields.get("llama.context_length")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        **named,
        **({"chat_template": template} if isinstance(template, str) else {}),
        **({"model_max_length": context} if isinstance(context, int) else {}),
    )
