-- For wrk: sends the JSON bodies of a file in turn, and says at its end what it measured.
--
--   wrk … URL -- BODIES HEADERS        a body on each line; a header on each line, "Name: value"

local requests, number = {}, 0

function init(args)
    for line in io.lines(args[2]) do
        local name, value = line:match("^([^:]+): (.*)$")
        wrk.headers[name] = value
    end
    wrk.headers["Content-Type"] = "application/json"
    for line in io.lines(args[1]) do requests[#requests + 1] = wrk.format("POST", nil, nil, line) end
    -- Threads do not all ask the same at the same time.
    number = tonumber(tostring({}):match("0x(%x+)"), 16) % #requests
end

function request()
    number = number % #requests + 1
    return requests[number]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        "RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
