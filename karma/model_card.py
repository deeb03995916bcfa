"""The model card of an artefact, from its manifest alone."""

from jinja2 import Environment, StrictUndefined

from karma.manifest import Manifest

_CARD = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False).from_string("""\
# {{ m.version }}

Item vectors from title{{ ", image" if m.config.encoder.use_visual }}
{{- " and co-occurrence" if m.config.encoder.use_collaborative }}, and one next-interest vector a user from the newest \
{{ m.history_length }} events: {{ m.dim }} dimensions, unit length, compared by dot product.
{% set reading = m.config.encoder.reading_dim | default(0) %}
{% if reading %}
The last {{ reading }} are the language model's over content alone, the others the pool's: keep or leave a block whole.
{% endif %}

| | |
|---|---|
| space | `{{ m.space_id }}` |
| trained until | {{ m.trained_until }} (exclusive; covers weights, tokenizer and the choice of the checkpoint) |
| event types | {{ m.event_types | join(", ") }} |
| image features | {{ m.vision_spec or "none" }} |
| protocol | {{ m.protocol }} |
{% for name, value in m.training_tables | dictsort %}
| trained on {{ name }} | version {{ value }} |
{% endfor %}
| training data | {{ "`%s`" | format(m.data_fingerprint) if m.data_fingerprint else "no fingerprint given" }} |

## Validation

The last target of held-out users before the cut, among all items; ties count against the encoder.

| measure | value |
|---|---|
{% for name, value in m.metrics | dictsort %}
| {{ name }} | {{ "%.4f" | format(value) }} |
{% endfor %}

Vectors of two spaces must not be compared. The files hold no decoder and no language-model head: they cannot write text.
""")


def model_card(manifest: Manifest) -> str:
    """Markdown that says what the encoder is, what it was trained on and how it was judged."""
    return _CARD.render(m=manifest)
