{# From a comparison of what is in force with what was: the intervals in which something else holds now. Where only an end of an
   interval moved, that is the stretch between its old and its new place.
   compared   a CTE with the key columns, now_from_at, now_until_at, before_from_at, before_until_at (null on the side that has no such
              row) and is_other: the row came, went, or says something else
   keys       its columns to keep
   returns    a select of the keys, from_at and until_at #}
{% macro intervals_changed(compared, keys) -%}
    select
        {{ keys | join(', ') }},
        least(coalesce(now_from_at, before_from_at), coalesce(before_from_at, now_from_at)) as from_at,
        greatest(coalesce(now_until_at, before_until_at), coalesce(before_until_at, now_until_at)) as until_at
    from {{ compared }}
    where is_other
    {% for end in ['from', 'until'] %}
        union all
        select
            {{ keys | join(', ') }},
            least(now_{{ end }}_at, before_{{ end }}_at) as from_at,
            greatest(now_{{ end }}_at, before_{{ end }}_at) as until_at
        from {{ compared }}
        where not is_other and now_{{ end }}_at != before_{{ end }}_at
    {% endfor %}
{%- endmacro %}
