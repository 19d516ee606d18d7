-- One row per stretch of a deck's time and beginning of a number that was used in it. A table of its own:
-- beside all the look-ups of int_numbers_matched the tens of millions of a large month would not stay in
-- bounded memory.
select distinct
    deck_epoch_id,
    beginning_digit_count,
    number_beginning
from {{ ref('int_events_selected') }}
