-- Money is whole numbers here (10^-12 of the currency), so that nothing is lost before the one rounding.
create or replace temp macro ten_to(exponent) as cast('1' || repeat('0', exponent) as hugeint);
create or replace temp macro rounded_quotient(dividend, divisor, mode) as
    dividend // divisor + case mode
        when 'half_up' then case when 2 * (dividend % divisor) >= divisor then 1 else 0 end
        when 'half_even' then case
            when 2 * (dividend % divisor) > divisor then 1
            when 2 * (dividend % divisor) = divisor then (dividend // divisor) % 2
            else 0
        end
        when 'up' then case when dividend % divisor > 0 then 1 else 0 end
        when 'down' then 0
    end;
-- A product of decimals ends at 10^14, and a cost that is not divided yet by the quantity of its rate may be more.
create or replace temp macro units(amount) as
    cast(floor(abs(cast(amount as decimal(38, 12)))) as hugeint) * 1000000000000
    + cast(abs(cast(amount as decimal(38, 12))) % 1 * 1000000000000 as hugeint);
-- amount x factor / divisor, rounded once to so many decimals.
create or replace temp macro scaled(amount, factor, divisor, decimals, mode) as
    cast(
        case when amount < 0 then -1 else 1 end * ten_to(12 - decimals) * rounded_quotient(
            units(amount) * cast(factor as hugeint),
            cast(divisor as hugeint) * ten_to(12 - decimals),
            mode
        ) as decimal(38, 0)
    ) * cast(0.000000000001 as decimal(38, 12));
