{# Fails for each combination of the columns that stands on more than one row, or holds a null: the model
   would count money twice. #}
{% test columns_identify_a_row(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 {% for column in columns %} or {{ column }} is null {% endfor %}

{% endtest %}
