{# The causes that the bridge may find, as the right side of an `in`. #}
{% macro variance_causes() -%}
    (
        'TIMEZONE', 'PERIOD', 'DUPLICATE', 'DIAL_CODE', 'MISSING_OURS', 'MISSING_THEIRS', 'VOLUME', 'INCREMENT', 'ROUNDING', 'RATE',
        'STATUS', 'FEE', 'TAX', 'COMMITMENT', 'FX', 'RESIDUAL'
    )
{%- endmacro %}
