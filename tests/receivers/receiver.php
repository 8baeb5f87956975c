<?php
// A merchant's notification URL in PHP, written from docs/ipn.md alone. Run by tests/notifications/
// test_call_receivers.py: RECEIVER_KEY=… RECEIVER_ALGORITHM=… RECEIVER_PASSWORD=… php -S 127.0.0.1:PORT receiver.php
// Answers 200 and what it understood as JSON, or 400 and the reason. With ?escaped the text first gets the
// backslashes that some servers and content management systems add, which a receiver there has to take off.

declare(strict_types=1);

function refuse(string $reason): never
{
    http_response_code(400);
    exit($reason);
}

$parameters = $_POST;

if (isset($parameters['kr-answer'])) {
    $text = $parameters['kr-answer'];
    if (isset($_GET['escaped'])) {
        $text = stripslashes(addslashes(str_replace('/', '\\/', $text)));
    }
    // Some servers escape slashes on the way; the hash is over the text without.
    $text = str_replace('\\/', '/', $text);
    if (!hash_equals(hash_hmac('sha256', $text, getenv('RECEIVER_PASSWORD')), $parameters['kr-hash'] ?? '')) {
        refuse('kr-hash');
    }
    $answer = json_decode($text, true, 64, JSON_THROW_ON_ERROR);
    header('Content-Type: application/json');
    exit(json_encode(['order' => $answer['orderDetails']['orderId'], 'status' => $answer['orderStatus']]));
}

$key = getenv('RECEIVER_KEY');
ksort($parameters, SORT_STRING);
$signed = '';
foreach ($parameters as $name => $value) {
    if (str_starts_with((string) $name, 'vads_')) {
        $signed .= $value . '+';
    }
}
$signed .= $key;
$expected = getenv('RECEIVER_ALGORITHM') === 'SHA-1'
    ? sha1($signed)
    : base64_encode(hash_hmac('sha256', $signed, $key, true));
if (!hash_equals($expected, $parameters['signature'] ?? '')) {
    refuse('signature');
}
header('Content-Type: application/json');
exit(json_encode(['order' => $parameters['vads_order_id'] ?? null, 'status' => $parameters['vads_trans_status'] ?? null]));
