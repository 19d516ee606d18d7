{# As columns_identify_a_row, for a key of one column. One test and not `unique` beside `not_null`: each small
   query costs a run as much as a small model does. #}
{% test identifies_a_row(model, column_name) %}

select
    {{ column_name }},
    count(*) as row_count
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null

{% endtest %}
