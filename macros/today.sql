{# The day on which a run asks how far clocks have run, UTC. TOLLGATE_TODAY (2026-11-30) sets it, for a run that is to say what another one would have said. #}
{% macro today() -%}
    cast('{{ env_var("TOLLGATE_TODAY", run_started_at.strftime("%Y-%m-%d")) }}' as date)
{%- endmacro %}
