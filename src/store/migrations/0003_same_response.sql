-- The attempt of the same delivery that holds this one's response body, if the attempts from there on all got the same
-- response.
ALTER TABLE attempt ADD COLUMN same_response_as INTEGER;
