{# Why a credit note that was read cannot be used, or null. One rule for every feed, over the house's own column names. #}
{% macro credit_note_refusal_reason(currency_is_known='true') -%}
    case
        when credit_amount is null then 'amount_unreadable'
        -- A seventh decimal would be rounded away unseen.
        when amount_written != credit_amount then 'amount_has_more_than_6_decimals'
        when issue_date is null then 'issue_date_unreadable'
        when credit_currency is null or not ({{ currency_is_known }}) then 'currency_unknown'
        when cause not in {{ variance_causes() }} then 'cause_unknown'
    end
{%- endmacro %}
