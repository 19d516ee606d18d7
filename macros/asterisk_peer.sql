{# The peer in the name of an Asterisk channel: `SIP/my-trunk-0000002a` -> `my-trunk`, `DAHDI/i1/4930123-5` -> `i1`. Null for null. #}
{% macro asterisk_peer(channel) -%}
    case
        when split_part({{ channel }}, '/', 3) != '' then split_part({{ channel }}, '/', 2)
        else substring(
            split_part({{ channel }}, '/', 2),
            1,
            length(split_part({{ channel }}, '/', 2)) - length(split_part({{ channel }}, '-', -1)) - 1
        )
    end
{%- endmacro %}
