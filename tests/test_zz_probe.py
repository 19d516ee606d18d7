def test_p(dbt_project):
    print(len(dbt_project.compiled), dbt_project.deprecations)
