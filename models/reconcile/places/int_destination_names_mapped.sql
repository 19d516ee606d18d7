-- One row per destination name of a carrier's invoices in a billing month and destination or dial code that
-- it stands for; one row without either where nobody knows the name. First the name as the carrier's own deck
-- has it, then the names of destination_codes.csv, then the destination whose words are most like it. A name
-- is likened only to a destination that no other line of the month names, and how like they are is its
-- confidence.
{% set word_count = 8 %}
{% set least_likeness = 85 %}
with

names_stated as (

    select
        carrier_id,
        service,
        direction,
        period_start_date,
        lower(destination_name) as destination_key
    from {{ ref('int_invoice_lines_versioned') }}
    where line_type = 'usage' and destination_name is not null and dial_code is null
    group by carrier_id, service, direction, period_start_date, lower(destination_name)

),

deck_names as (

    select
        carrier_id,
        service,
        direction,
        destination_id,
        min(lower(destination_name)) as destination_key
    from {{ ref('int_rate_decks_resolved') }}
    group by carrier_id, service, direction, destination_id

),

names_of_decks as (

    select
        names_stated.*,
        deck_names.destination_id
    from names_stated
    left join deck_names
        on
            names_stated.carrier_id = deck_names.carrier_id
            and names_stated.service = deck_names.service
            and names_stated.direction = deck_names.direction
            and names_stated.destination_key = deck_names.destination_key

),

-- Names that the terms give for this carrier beat those for all carriers.
names_stored as (

    select
        names_of_decks.carrier_id,
        names_of_decks.service,
        names_of_decks.direction,
        names_of_decks.period_start_date,
        names_of_decks.destination_key,
        codes.dial_code,
        codes.carrier_id != '*' as is_own
    from names_of_decks
    inner join {{ ref('stg_terms__destination_codes') }} as codes
        on
            names_of_decks.destination_key = lower(codes.destination_name)
            and codes.carrier_id in (names_of_decks.carrier_id, '*')
            and codes.refusal_reason is null
    where names_of_decks.destination_id is null
    qualify (codes.carrier_id != '*') = bool_or(codes.carrier_id != '*') over (
        partition by
            names_of_decks.carrier_id, names_of_decks.service, names_of_decks.direction,
            names_of_decks.period_start_date, names_of_decks.destination_key
    )

),

names_unknown as (

    select names_of_decks.*
    from names_of_decks
    left join names_stored
        on
            names_of_decks.carrier_id = names_stored.carrier_id
            and names_of_decks.service = names_stored.service
            and names_of_decks.direction = names_stored.direction
            and names_of_decks.period_start_date = names_stored.period_start_date
            and names_of_decks.destination_key = names_stored.destination_key
    where names_of_decks.destination_id is null and names_stored.destination_key is null

),

places_unknown as (

    select
        carrier_id,
        service,
        direction,
        period_start_date
    from names_unknown
    group by carrier_id, service, direction, period_start_date

),

-- What is left to be named: destinations of the deck that no line of the month names as the deck does.
destinations_free as (

    select
        places_unknown.carrier_id,
        places_unknown.service,
        places_unknown.direction,
        places_unknown.period_start_date,
        deck_names.destination_id,
        deck_names.destination_key
    from places_unknown
    inner join deck_names
        on
            places_unknown.carrier_id = deck_names.carrier_id
            and places_unknown.service = deck_names.service
            and places_unknown.direction = deck_names.direction
    left join names_of_decks
        on
            places_unknown.carrier_id = names_of_decks.carrier_id
            and places_unknown.service = names_of_decks.service
            and places_unknown.direction = names_of_decks.direction
            and places_unknown.period_start_date = names_of_decks.period_start_date
            and deck_names.destination_id = names_of_decks.destination_id
    where names_of_decks.destination_id is null

),

names_compared as (

    select destination_key
    from names_unknown
    group by destination_key
    union
    select destination_key
    from destinations_free
    group by destination_key

),

names_written as (

    select
        destination_key,
        {{ words_of('destination_key') }} as words
    from names_compared

),

-- A country may stand as its code in front: DE Mobile.
names_spelled as (

    select
        names_written.destination_key,
        coalesce(
            {{ words_of('countries.country_name') }} || substring(names_written.words, 3), names_written.words
        ) as words
    from names_written
    left join {{ ref('destination_words') }} as known
        on split_part(names_written.words, ' ', 1) = known.word
    left join {{ ref('countries') }} as countries
        on
            split_part(names_written.words, ' ', 1) = lower(countries.country_code)
            and known.word is null
    group by
        names_written.destination_key,
        coalesce(
            {{ words_of('countries.country_name') }} || substring(names_written.words, 3), names_written.words
        )

),

words_split as (

    {% for position in range(1, word_count + 1) %}
        select
            destination_key,
            split_part(words, ' ', {{ position }}) as word
        from names_spelled
        where split_part(words, ' ', {{ position }}) != ''
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

country_names as (

    select {{ words_of('country_name') }} as words
    from {{ ref('countries') }}

),

country_words as (

    {% for position in range(1, word_count + 1) %}
        select split_part(words, ' ', {{ position }}) as word
        from country_names
        where length(split_part(words, ' ', {{ position }})) > 3
        {{ 'union' if not loop.last }}
    {% endfor %}

),

-- In any order, and short forms written out.
names_worded as (

    select
        words_split.destination_key,
        {{ texts_joined('coalesce(known.written_as, words_split.word)') }} as words,
        {{ texts_joined('country_words.word') }} as country_words
    from words_split
    left join {{ ref('destination_words') }} as known
        on words_split.word = known.word
    left join country_words
        on coalesce(known.written_as, words_split.word) = country_words.word
    where known.word is null or known.written_as is not null
    group by words_split.destination_key

),

unknown_worded as (

    select
        names_unknown.*,
        names_worded.words,
        names_worded.country_words
    from names_unknown
    inner join names_worded
        on names_unknown.destination_key = names_worded.destination_key

),

free_worded as (

    select
        destinations_free.*,
        names_worded.words,
        names_worded.country_words
    from destinations_free
    inner join names_worded
        on destinations_free.destination_key = names_worded.destination_key

),

-- Not every name with every other one: likely names have the same words, or begin alike.
pairs as (

    {% for words in ['{}', 'substring({}, 1, 3)'] %}
        select
            unknown_worded.carrier_id,
            unknown_worded.service,
            unknown_worded.direction,
            unknown_worded.period_start_date,
            unknown_worded.destination_key,
            free_worded.destination_id,
            unknown_worded.words as stated_words,
            free_worded.words as deck_words
        from unknown_worded
        inner join free_worded
            on
                unknown_worded.carrier_id = free_worded.carrier_id
                and unknown_worded.service = free_worded.service
                and unknown_worded.direction = free_worded.direction
                and unknown_worded.period_start_date = free_worded.period_start_date
                and {{ words.format('unknown_worded.words') }} = {{ words.format('free_worded.words') }}
                -- Iran is no misspelt Iraq.
                and coalesce(unknown_worded.country_words = free_worded.country_words, true)
        {{ 'union' if not loop.last }}
    {% endfor %}

),

pairs_likened as (

    select
        *,
        {{ integer_divide(
            '100 * (greatest(length(stated_words), length(deck_words)) - levenshtein(stated_words, deck_words))',
            'greatest(length(stated_words), length(deck_words))'
        ) }} as likeness
    from pairs

),

-- The closest on both sides, and no other one as close.
pairs_ranked as (

    select
        *,
        rank() over (
            partition by carrier_id, service, direction, period_start_date, destination_key
            order by likeness desc
        ) as rank_of_destination,
        rank() over (
            partition by carrier_id, service, direction, period_start_date, destination_id
            order by likeness desc
        ) as rank_of_name,
        count(*) over (
            partition by carrier_id, service, direction, period_start_date, destination_key, likeness
        ) as equal_destination_count,
        count(*) over (
            partition by carrier_id, service, direction, period_start_date, destination_id, likeness
        ) as equal_name_count
    from pairs_likened

),

names_likened as (

    select
        *,
        -- Written otherwise, it is never as sure as the name itself.
        cast(least(likeness, 99) * 0.01 as decimal(3, 2)) as confidence
    from pairs_ranked
    where
        likeness >= {{ least_likeness }}
        and rank_of_destination = 1
        and rank_of_name = 1
        and equal_destination_count = 1
        and equal_name_count = 1

),

names_found as (

    select
        carrier_id,
        service,
        direction,
        period_start_date,
        destination_key,
        destination_id,
        cast(null as string) as dial_code,
        'own_name' as destination_source,
        cast(1 as decimal(3, 2)) as confidence
    from names_of_decks
    where destination_id is not null
    union all
    select
        carrier_id,
        service,
        direction,
        period_start_date,
        destination_key,
        cast(null as string) as destination_id,
        dial_code,
        'stored_name' as destination_source,
        cast(1 as decimal(3, 2)) as confidence
    from names_stored
    union all
    select
        names_unknown.carrier_id,
        names_unknown.service,
        names_unknown.direction,
        names_unknown.period_start_date,
        names_unknown.destination_key,
        names_likened.destination_id,
        cast(null as string) as dial_code,
        case when names_likened.destination_id is null then 'unmapped' else 'likeness' end
            as destination_source,
        coalesce(names_likened.confidence, cast(0 as decimal(3, 2))) as confidence
    from names_unknown
    left join names_likened
        on
            names_unknown.carrier_id = names_likened.carrier_id
            and names_unknown.service = names_likened.service
            and names_unknown.direction = names_likened.direction
            and names_unknown.period_start_date = names_likened.period_start_date
            and names_unknown.destination_key = names_likened.destination_key

),

destination_names_mapped as (

    select
        carrier_id || ':' || service || ':' || direction || ':' || {{ month_name_of('period_start_date') }}
        || ':' || coalesce(dial_code, '') || ':' || destination_key as name_mapping_id,
        *
    from names_found

)

select * from destination_names_mapped
